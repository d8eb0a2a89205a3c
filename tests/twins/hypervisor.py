"""A hypervisor in memory: the twin of the drivers in `compute_plugin.hypervisors`, held to the same contract
(tests/hypervisors/test_contract.py). What libvirt keeps in files of the host it keeps there, too: `console.log` of a
guest's folder, and what `save` writes."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import trio

from compute_plugin.hypervisors.console_log import read_console_log
from compute_plugin.hypervisors.interface import (
    Can,
    Guest,
    GuestDisk,
    GuestNic,
    GuestState,
    Inventory,
    Power,
    UnsupportedError,
    Usage,
)
from store.blocks.bell import Bell
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError


@dataclass
class Running:
    """A guest that runs here, and what a test may want of it."""

    guest: Guest
    power: Power = Power.RUNNING
    waits: bool = False
    disks: dict[str, GuestDisk] = field(default_factory=dict)
    nics: dict[str, GuestNic] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """By target, what `grow_disk` was told last."""
    passwords: dict[str, str] = field(default_factory=dict)
    reboots: int = 0
    interrupts: int = 0
    renewed: int = 1
    """How often its disks were connected such that they outlive a restart of their server; 0 after it was moved."""
    deaf: bool = False
    """Its system answers nothing: neither a request to end or to start anew, nor one to let go of a disk."""


class MemoryChanges:
    def __init__(self) -> None:
        self.pending: dict[str, None] = {}
        self.gone = False
        self.bell = Bell()

    async def next(self) -> str:
        await trio.lowlevel.checkpoint()
        while not self.pending:
            if self.gone:
                raise RetryableError("the hypervisor is gone")
            await self.bell.wait()
        id_ = next(iter(self.pending))
        del self.pending[id_]
        return id_


class MemoryHypervisor:
    """A `Hypervisor`. `peers` are the others, by URI: shared by all that guests are to move between."""

    def __init__(
        self,
        uri: str = "memory:///here",
        peers: dict[str, MemoryHypervisor] | None = None,
        *,
        can: frozenset[Can] = frozenset(Can),
        kind: str = "QEMU",
        vcpus: int = 16,
        memory_mib: int = 65536,
    ) -> None:
        self.can = can
        self.peers = {} if peers is None else peers
        self.peers[uri] = self
        self.running: dict[str, Running] = {}
        self.calls: Counter[str] = Counter()
        """How often each call was made, also of those that failed."""
        self.is_gone = False
        self._has = Inventory(kind, 7002022, vcpus, memory_mib, {"arch": "x86_64", "model": "qemu64"}, can)
        self._failures: dict[str, deque[tuple[DrystoneError, bool]]] = {}
        self._heard: list[MemoryChanges] = []

    # What tests do to it.

    def fail(self, call: str, error: DrystoneError, *, after: bool = False) -> None:
        """The next such call (`start`, `attach_disk` ...) fails that was not told to yet. `after`: it is done all the
        same, and only its answer is lost."""
        self._failures.setdefault(call, deque()).append((error, after))

    def go(self) -> None:
        """The daemon is gone: guests run on, nobody answers, and who followed changes is told so."""
        self.is_gone = True
        for changes in self._heard:
            changes.gone = True
            changes.bell.ring()

    def come_back(self) -> None:
        self.is_gone = False

    def die(self, id_: str) -> None:
        """A guest ends by itself, or is killed."""
        del self.running[id_]
        self._tell(id_)

    def wait(self, id_: str, waits: bool = True) -> None:
        """An I/O error of a volume pauses a guest; or it goes on."""
        running = self.running[id_]
        running.waits, running.power = waits, Power.PAUSED if waits else Power.RUNNING
        self._tell(id_)

    def say(self, id_: str, text: str) -> None:
        """A guest says something on its serial console."""
        folder = self.running[id_].guest.folder
        if folder:
            with (Path(folder) / "console.log").open("a") as file:
                file.write(text)

    # The contract.

    async def inventory(self) -> Inventory:
        async with self._called("inventory"):
            return self._has

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[MemoryChanges]:
        changes = MemoryChanges()
        async with self._called("changes"):
            self._heard.append(changes)
        try:
            yield changes
        finally:
            self._heard.remove(changes)

    async def guests(self) -> Mapping[str, GuestState]:
        async with self._called("guests"):
            return {id_: GuestState(running.power, running.waits) for id_, running in self.running.items()}

    async def start(self, guest: Guest, *, saved: str = "") -> None:
        async with self._called("start"):
            running = self.running.get(guest.id)
            if running is not None:
                if not running.renewed:
                    running.renewed += 1
                return
            _check(guest)
            if saved:
                _read_saved(saved, guest)
            self.running[guest.id] = Running(
                guest, disks={disk.target: disk for disk in guest.disks}, nics={nic.mac: nic for nic in guest.nics}
            )
            if guest.folder:
                (Path(guest.folder) / "console.log").write_text("")
            self.say(guest.id, f"{guest.name} {'goes on' if saved else 'starts'}\n")
            self._tell(guest.id)

    async def stop(self, id_: str, patience_s: float) -> None:
        async with self._called("stop"):
            running = self.running.get(id_)
            if running is None:
                return
            if running.deaf and running.power is Power.RUNNING:
                await trio.sleep(patience_s)
            if self.running.pop(id_, None) is not None:
                self._tell(id_)

    async def reboot(self, id_: str, patience_s: float) -> bool:
        async with self._called("reboot"):
            running = self._find(id_)
            if running.power is not Power.RUNNING:
                raise ConflictError(f"guest {id_} does not run: it is paused")
            if running.deaf:
                await trio.sleep(patience_s)
                return False
            running.reboots += 1
            self.say(id_, f"{running.guest.name} starts anew\n")
            return True

    async def pause(self, id_: str) -> None:
        async with self._called("pause"):
            self._able(Can.PAUSE)
            self._power(id_, Power.PAUSED)

    async def unpause(self, id_: str) -> None:
        async with self._called("unpause"):
            self._able(Can.PAUSE)
            self._power(id_, Power.RUNNING)

    async def save(self, id_: str, path: str) -> None:
        async with self._called("save"):
            self._able(Can.SUSPEND)
            if id_ not in self.running and _is_saved(path, id_):
                return  # it was done before
            running = self._find(id_)
            kept = {"id": running.guest.id, "disks": sorted(running.disks), "nics": sorted(running.nics)}
            Path(path).write_text(json.dumps(kept))
            del self.running[id_]
            self._tell(id_)

    async def attach_disk(self, id_: str, disk: GuestDisk) -> None:
        async with self._called("attach_disk"):
            self._able(Can.ATTACH_DISKS)
            running = self._find(id_)
            has = running.disks.get(disk.target)
            if has is not None and (has.export, has.file) != (disk.export, disk.file):
                raise ConflictError(f"guest {id_} has another disk at {disk.target}")
            running.disks.setdefault(disk.target, disk)

    async def detach_disk(self, id_: str, target: str) -> None:
        async with self._called("detach_disk"):
            self._able(Can.ATTACH_DISKS)
            running = self._find(id_)
            if target in running.disks:
                if running.deaf:
                    raise RetryableError(f"the guest does not let go of {target}: is its system running?")
                del running.disks[target]

    async def grow_disk(self, id_: str, target: str, size: int) -> None:
        async with self._called("grow_disk"):
            running = self._find(id_)
            if target not in running.disks:
                raise NotFoundError(f"guest {id_} has no volume at {target}")
            running.sizes[target] = size

    async def attach_nic(self, id_: str, nic: GuestNic) -> None:
        async with self._called("attach_nic"):
            self._able(Can.ATTACH_NICS)
            self._find(id_).nics.setdefault(nic.mac, nic)

    async def detach_nic(self, id_: str, mac: str) -> None:
        async with self._called("detach_nic"):
            self._able(Can.ATTACH_NICS)
            running = self._find(id_)
            if mac in running.nics:
                if running.deaf:
                    raise RetryableError(f"the guest does not let go of {mac}: is its system running?")
                del running.nics[mac]

    async def set_password(self, id_: str, user: str, password: str) -> None:
        async with self._called("set_password"):
            self._able(Can.PASSWORD)
            running = self._find(id_)
            if running.guest.properties.get("hw_qemu_guest_agent") != "yes":
                raise ConflictError(f"guest {id_} has no agent")
            running.passwords[user] = password

    async def interrupt(self, id_: str) -> None:
        async with self._called("interrupt"):
            self._able(Can.NMI)
            self._find(id_).interrupts += 1

    async def usage(self, id_: str) -> Usage:
        async with self._called("usage"):
            running = self._find(id_)
            return Usage(
                cpu_ns=(0,) * running.guest.vcpus,
                memory_mib=running.guest.memory_mib,
                memory_used_mib=0,
                disks=dict.fromkeys(running.disks, (0, 0, 0, 0, -1)),
                nics=dict.fromkeys(running.nics, (0,) * 8),
                uptime_s=0,
            )

    async def console_log(self, guest_folder: str) -> bytes:
        await trio.lowlevel.checkpoint()
        return read_console_log(guest_folder)

    async def migrate(self, guest: Guest, peer: str, _address: str) -> None:
        async with self._called("migrate"):
            self._able(Can.LIVE_MIGRATION)
            running = self._find(guest.id)
            other = self.peers.get(peer)
            if other is None or other.is_gone:
                raise RetryableError(f"no hypervisor at {peer}")
            if guest.id in other.running:
                raise ConflictError(f"guest {guest.id} runs at {peer} already")
            moved = replace(
                running,
                guest=guest,
                disks={disk.target: disk for disk in guest.disks},
                nics={nic.mac: nic for nic in guest.nics},
                renewed=0,
            )
            del self.running[guest.id]
            other.running[guest.id] = moved
            self._tell(guest.id)
            other._tell(guest.id)

    @asynccontextmanager
    async def _called(self, call: str) -> AsyncIterator[None]:
        self.calls[call] += 1
        await trio.lowlevel.checkpoint()
        if self.is_gone:
            raise RetryableError("no hypervisor answers")
        failures = self._failures.get(call)
        error, after = failures.popleft() if failures else (None, False)
        if error is not None and not after:
            raise error
        yield
        if error is not None:
            raise error

    def _find(self, id_: str) -> Running:
        if id_ not in self.running:
            raise NotFoundError(f"guest {id_} does not run here")
        return self.running[id_]

    def _able(self, what: Can) -> None:
        if what not in self.can:
            raise UnsupportedError(f"{self._has.kind} cannot do that: {what}")

    def _power(self, id_: str, power: Power) -> None:
        running = self._find(id_)
        if running.power is not power or running.waits:
            running.power, running.waits = power, False
            self._tell(id_)

    def _tell(self, id_: str) -> None:
        for changes in self._heard:
            if not self.is_gone:
                changes.pending[id_] = None
                changes.bell.ring()


def _check(guest: Guest) -> None:
    try:
        is_id = str(UUID(guest.id)) == guest.id
    except ValueError:
        is_id = False
    if not is_id:
        raise InvalidError(f"a guest's id is a UUID, not {guest.id!r}")
    if not guest.name or not guest.name.replace("-", "").isalnum() or not guest.name.isascii():
        raise InvalidError(f"a guest's name is of letters, digits and '-', not {guest.name!r}")


def _is_saved(path: str, id_: str) -> bool:
    try:
        return bool(json.loads(Path(path).read_text())["id"] == id_)
    except (OSError, ValueError):
        return False


def _read_saved(path: str, guest: Guest) -> None:
    try:
        saved = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InvalidError(f"{path} is not what a guest was saved to: {error}") from error
    if saved["id"] != guest.id:
        raise InvalidError(f"{path} is of another guest")
    has = {"disks": sorted(disk.target for disk in guest.disks), "nics": sorted(nic.mac for nic in guest.nics)}
    for what, names in has.items():
        if saved[what] != names:
            raise ConflictError(f"the guest has the {what} {saved[what]}, and is to go on with {names}")
