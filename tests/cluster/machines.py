"""Machines made of namespaces: each has its own network, mounts, host name and processes, and all hang on one bridge.

A machine lives as long as the process that holds its namespaces, and that lives as long as the pipe to whoever made it:
when a test ends, fails or is killed, all processes, mounts, links and addresses are gone with it. Nothing is written
under /run/netns or /etc, and nothing outside these namespaces is changed. Root only (`why_not`).

Addresses are 10.zone.0.number, all on one link; host names are not resolved.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

WAIT_SECONDS = 30.0
"""A bound for what the kernel does at once."""
BRIDGE = "bridge"
HOLD = ("env", "--ignore-signal=CHLD", "cat")
"""As the first process of a machine it inherits those whose parents end. Who ignores their end has them reaped: others
wait for that."""
TOOLS = ("unshare", "nsenter", "ip", "nft")


def why_not() -> str | None:
    """The reason why no machines can be made here; None where they can."""
    if os.geteuid() != 0:
        return "namespaces are made by root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "ip", "link", "add", BRIDGE, "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no bridge in a namespace: {tried.stderr.strip()}" if tried.returncode else None


class Namespaces:
    """The process that holds them: `cat`, until its input ends."""

    def __init__(self, *kinds: str) -> None:
        """`kinds` besides the network, as unshare spells them."""
        options = [f"--{kind}" for kind in ("net", "mount", *kinds)]
        self._enter = [f"--{kind}" for kind in ("net", "mount", *kinds) if kind != "mount-proc"]
        self._process = subprocess.Popen(
            ["unshare", *options, "--fork", "--kill-child", *HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        self.pid = child_of(self._process.pid, "cat")

    def entering(self, command: Sequence[str]) -> list[str]:
        """The same command within, in the same working folder (nsenter leaves for the root)."""
        return ["nsenter", "--target", str(self.pid), *self._enter, "--", "env", f"--chdir={os.getcwd()}", *command]

    def run(self, *command: str) -> str:
        """Run a command within, to its end. Returns its output; raises AssertionError with what it said if it fails."""
        done = subprocess.run(self.entering(command), capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done.stdout

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=WAIT_SECONDS)


class Site:
    """All machines and the bridge between them."""

    def __init__(self, folder: Path, *, clock_library: Path | None = None) -> None:
        """`folder` is for what machines keep; `clock_library` (see `clock`) lets their clocks jump."""
        self.folder = folder
        self.clock_library = clock_library
        self.machines: list[Machine] = []
        self._closing = ExitStack()
        self.switch = Namespaces()
        self._closing.callback(self.switch.close)
        self.switch.run("ip", "link", "add", BRIDGE, "type", "bridge")
        self.switch.run("ip", "link", "set", BRIDGE, "up")

    def add(self, zone: int) -> Machine:
        """One more machine, connected."""
        machine = Machine(self, zone, len(self.machines) + 1)
        self._closing.callback(machine.close)
        machine.connect()
        self.machines.append(machine)
        return machine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


class Machine:
    """One machine of a site. Made by `Site.add`."""

    def __init__(self, site: Site, zone: int, number: int) -> None:
        self.site = site
        self.zone = zone
        self.name = f"m{number}"
        self.address = f"10.{zone}.0.{number}"
        self.folder = site.folder / self.name
        self.folder.mkdir()
        self.clock = self.folder / "clock"
        self.clock.write_bytes(bytes(8))
        self.cgroups: list[Path] = []
        """Control groups that everything started here joins."""
        self._processes: list[Process] = []
        self._namespaces = Namespaces("uts", "pid", "mount-proc")

    def connect(self) -> None:
        """Give it its link and address."""
        switch = self.site.switch
        switch.run(
            "ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self._namespaces.pid)
        )
        switch.run("ip", "link", "set", self.name, "master", BRIDGE, "up")
        self.run("hostname", self.name)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.address}/8", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def run(self, *command: str) -> str:
        """Run a command on it, to its end; its output."""
        return self._namespaces.run(*command)

    def process(self, *command: str, environment: Mapping[str, str] | None = None) -> Process:
        """A process to be started on it, once or again and again. What it prints goes to `log`."""
        process = Process(self, command, environment or {})
        self._processes.append(process)
        return process

    def entering(self, command: Sequence[str]) -> list[str]:
        return self._namespaces.entering(command)

    def path(self, path: Path) -> Path:
        """What the machine sees at `path`, mounts included, for whoever is not on it."""
        return Path(f"/proc/{self._namespaces.pid}/root{path}")

    @property
    def holder(self) -> int:
        """The process that holds the namespaces: not to be harmed."""
        return self._namespaces.pid

    def crash(self) -> None:
        """Kill every process on it at once. What is mounted stays."""
        subprocess.run(self.entering(["sh", "-c", "kill -9 -1"]), check=False, capture_output=True)
        for process in self._processes:
            process.wait()

    def close(self) -> None:
        self.crash()  # while any process is left that its parent does not reap, the namespaces do not end
        self._namespaces.close()


class Process:
    """One process on a machine, with the same command each time it is started."""

    def __init__(self, machine: Machine, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.machine = machine
        self.log = machine.folder / f"{Path(command[0]).name}-{len(list(machine.folder.iterdir()))}.log"
        self.log.touch()
        self._command = command
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        if machine.site.clock_library is not None:
            self._environment |= {
                "LD_PRELOAD": str(machine.site.clock_library),
                "CLOCK_SHIFT_FILE": str(machine.clock),
            }
        self._outer: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """As the test sees it."""

    def start(self) -> None:
        assert not self.running
        with self.log.open("ab") as log:
            self._outer = subprocess.Popen(
                self.machine.entering(["sh", "-c", 'read go; exec "$@" </dev/null', "sh", *self._command]),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        self.pid = child_of(self._outer.pid, "sh")
        for group in self.machine.cgroups:  # before it does anything
            (group / "cgroup.procs").write_text(str(self.pid))
        assert self._outer.stdin is not None
        self._outer.stdin.write(b"go\n")
        self._outer.stdin.close()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.running:
            self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int | None:
        """Wait for its end; its exit status. None where it was never started."""
        if self._outer is None:
            return None
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            # nsenter stops itself when what it waits for is stopped, and nobody else would let it go on.
            self._outer.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                return self._outer.wait(timeout=0.1)
        raise AssertionError(f"process {self.pid} does not end")

    @property
    def running(self) -> bool:
        return self._outer is not None and self._outer.poll() is None

    def output(self) -> str:
        return self.log.read_text()


def child_of(pid: int, name: str) -> int:
    """The one child of a process, once it is there and runs `name`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == name:
            return int(children[0])
        time.sleep(0.002)
    raise AssertionError(f"process {pid} has no child {name}")
