"""Kinds of fault, each a small object: `inject` does it, `undo` takes it back, and `with` does both.

Any number of them compose (`contextlib.ExitStack`), on the same machines, and are undone in any order. What cannot be
taken back (a wiped disk) has an `undo` that does nothing: to get over that is what the cluster is for.
"""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.disks import Disk, LoopDisk
from tests.cluster.machines import BRIDGE, WAIT_SECONDS, Machine, Process
from tests.cluster.waiting import until

FILLER = "filler"
CGROUPS_1 = Path("/sys/fs/cgroup/blkio")
CGROUPS_2 = Path("/sys/fs/cgroup")

_numbers = count(1)


class Fault(ABC):
    """What happens to a cluster, and is over some time later."""

    @abstractmethod
    def inject(self) -> None: ...

    @abstractmethod
    def undo(self) -> None: ...

    def __enter__(self) -> Self:
        self.inject()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


# Links


class Loss(Fault):
    """Of what `senders` send to `receivers`, and only in that direction, `part` is lost: all, or by chance."""

    def __init__(self, senders: Collection[Machine], receivers: Collection[Machine], part: float = 1.0) -> None:
        self._senders = senders
        self._receivers = receivers
        self._part = part
        self._table = f"fault{next(_numbers)}"

    def inject(self) -> None:
        chance = "" if self._part >= 1 else f"numgen random mod 1000 < {round(1000 * self._part)} "
        addresses = ", ".join(machine.address for machine in self._senders)
        rule = f"ip saddr {{ {addresses} }} {chance}drop"
        for machine in self._receivers:
            chain = f"chain in {{\ntype filter hook input priority -300\n{rule}\n}}"
            machine.run("nft", f"table ip {self._table} {{\n{chain}\n}}")

    def undo(self) -> None:
        for machine in self._receivers:
            machine.run("nft", "delete", "table", "ip", self._table)


class Partition(Fault):
    """Two sets of machines that hear nothing of each other."""

    def __init__(self, one: Collection[Machine], other: Collection[Machine]) -> None:
        self._losses = (Loss(one, other), Loss(other, one))

    def inject(self) -> None:
        for loss in self._losses:
            loss.inject()

    def undo(self) -> None:
        for loss in self._losses:
            loss.undo()


class Delay(Fault):
    """All that one machine sends and receives takes longer, in each direction; with jitter it also changes its order.
    Some may be lost or come twice. One at a time for each machine.

    The frames pass through a process (`relay`) between the machine's link and the bridge, since kernels often have no
    netem (`CONFIG_NET_SCH_NETEM`).
    """

    def __init__(
        self, machine: Machine, milliseconds: float, jitter: float = 0.0, *, lost: float = 0.0, twice: float = 0.0
    ) -> None:
        self._machine = machine
        self._values = (milliseconds, jitter, lost, twice)
        self._relay: subprocess.Popen[str] | None = None

    def inject(self) -> None:
        switch, port = self._machine.site.switch, self._machine.name
        tap = f"{port}-late"
        values = [str(value) for value in self._values]
        self._relay = subprocess.Popen(
            switch.entering([sys.executable, "-m", "tests.cluster.relay", port, tap, *values]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._relay.stdout is not None
        assert self._relay.stdout.readline() == "ready\n", "no relay"
        switch.run("ip", "link", "set", port, "nomaster")
        switch.run("ip", "link", "set", tap, "master", BRIDGE, "up")

    def undo(self) -> None:
        assert self._relay is not None
        with self._relay:
            self._relay.kill()
        self._machine.site.switch.run("ip", "link", "set", self._machine.name, "master", BRIDGE)


# Processes


class Killed(Fault):
    """SIGKILL; later it is started again."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def inject(self) -> None:
        self._process.kill()

    def undo(self) -> None:
        if not self._process.running:
            self._process.start()


class Crashed(Fault):
    """Every process of a machine dies at once; later those are started again."""

    def __init__(self, machine: Machine, processes: Collection[Process]) -> None:
        self._machine = machine
        self._processes = processes

    def inject(self) -> None:
        self._machine.crash()

    def undo(self) -> None:
        for process in self._processes:
            if not process.running:
                process.start()


class Stopped(Fault):
    """SIGSTOP: it holds its connections and locks, and does nothing; then it goes on as if no time had passed."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def inject(self) -> None:
        self._process.signal(signal.SIGSTOP)

    def undo(self) -> None:
        if self._process.running:
            self._process.signal(signal.SIGCONT)


class ClockJump(Fault):
    """The wall clock of a machine's processes is off by so many seconds at once, then right again (see `clock`).
    Monotonic clocks go on as they do on a real machine."""

    def __init__(self, machine: Machine, seconds: float) -> None:
        assert machine.site.clock_library is not None, "the site has no clock library"
        self._clock = machine.clock
        self._nanoseconds = round(seconds * 1e9)

    def inject(self) -> None:
        self._set(self._nanoseconds)

    def undo(self) -> None:
        self._set(0)

    def _set(self, nanoseconds: int) -> None:
        with self._clock.open("r+b", buffering=0) as file:  # in place: processes have it mapped
            file.write(struct.pack("=q", nanoseconds))


# Disks


class FullDisk(Fault):
    """Not a byte is free."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def inject(self) -> None:
        assert os.path.ismount(self._disk.seen), "only what is a disk of its own is filled"
        block = bytes(1 << 16)
        with (self._disk.seen / FILLER).open("wb", buffering=0) as file:
            size = len(block)
            while size:
                try:
                    if file.write(block[:size]) < size:
                        size //= 2
                except OSError:
                    size //= 2

    def undo(self) -> None:
        (self._disk.seen / FILLER).unlink(missing_ok=True)


class WipedDisk(Fault):
    """All that was on it is gone, for good. Whoever uses it is to be killed first."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def inject(self) -> None:
        self._disk.wipe()

    def undo(self) -> None:
        """Nothing brings it back."""


class StaleDisk(Fault):
    """`keep` takes a copy, and `inject` puts it in the place of what is there by then, for good. Whoever uses the disk
    is to be dead at both times."""

    def __init__(self, disk: Disk, copy: Path) -> None:
        self._disk = disk
        self._copy = copy

    def keep(self) -> None:
        self._disk.copy_to(self._copy)

    def inject(self) -> None:
        self._disk.put_back(self._copy)

    def undo(self) -> None:
        """What was newer is gone."""


class SlowDisk(Fault):
    """No more than so many operations a second for all processes of the machine (the kernel's block throttle). Reads
    that the page cache answers are as fast as ever, as with a real disk that fails slowly."""

    def __init__(self, disk: LoopDisk, operations: int) -> None:
        self._disk = disk
        self._operations = operations
        self._group = (CGROUPS_1 if _version_1() else CGROUPS_2) / f"drystone-{os.getpid()}-{next(_numbers)}"

    @staticmethod
    def why_not() -> str | None:
        if _version_1() or "io" in _controllers():
            return None
        return "the kernel has no block throttle (blkio or io controller)"

    def inject(self) -> None:
        self._group.mkdir()
        self._limit(self._operations)
        machine = self._disk.machine
        machine.cgroups.append(self._group)
        for pid in processes_of(machine):
            with suppress(ProcessLookupError):
                (self._group / "cgroup.procs").write_text(str(pid))

    def undo(self) -> None:
        machine = self._disk.machine
        machine.cgroups.remove(self._group)
        self._limit(0)
        until(self._removed)

    def _removed(self) -> bool:
        """Whether the group is gone: not while a process that ends is still counted in it."""
        for pid in (self._group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (self._group.parent / "cgroup.procs").write_text(pid)
        try:
            self._group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        return not self._group.exists()

    def _limit(self, operations: int) -> None:
        if _version_1():
            for kind in ("read", "write"):
                (self._group / f"blkio.throttle.{kind}_iops_device").write_text(f"{self._disk.numbers} {operations}")
        else:
            most = operations or "max"
            (self._group / "io.max").write_text(f"{self._disk.numbers} riops={most} wiops={most}")


class HangingDisk(Fault):
    """Every write to it waits until the fault is over (a frozen file system)."""

    def __init__(self, disk: LoopDisk) -> None:
        self._disk = disk
        self._guard: subprocess.Popen[str] | None = None

    def inject(self) -> None:
        # Whatever becomes of this process, what waits for the disk could not even be killed: so the guard, which is in
        # no namespace that ends with it, thaws when the pipe to it ends.
        path = str(self._disk.path)
        script = f"fsfreeze --freeze {path} && echo frozen && cat; fsfreeze --unfreeze {path}"
        self._guard = subprocess.Popen(
            ["nsenter", "--target", str(self._disk.machine.holder), "--mount", "--", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._guard.stdout is not None
        assert self._guard.stdout.readline() == "frozen\n"

    def undo(self) -> None:
        assert self._guard is not None
        self._guard.communicate(timeout=WAIT_SECONDS)


def _version_1() -> bool:
    return (CGROUPS_1 / "blkio.throttle.write_iops_device").exists() or (CGROUPS_1 / "cgroup.procs").exists()


def _controllers() -> list[str]:
    found = CGROUPS_2 / "cgroup.controllers"
    return found.read_text().split() if found.exists() else []


def processes_of(machine: Machine) -> list[int]:
    """All that run on it, by the pids of this process, but for the holder of its namespaces."""
    own = os.readlink(f"/proc/{machine.holder}/ns/pid")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != machine.holder:
            try:
                if os.readlink(entry / "ns" / "pid") == own:
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended
    return found
