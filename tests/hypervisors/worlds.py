"""What the contract is tried on: the twin, and libvirt with guests that really boot."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import trio

from compute_plugin.hypervisors.console_log import read_console_log
from compute_plugin.hypervisors.interface import Guest, GuestDisk, GuestNic, Hypervisor
from store.blocks.bell import Bell
from tests.guests.served import serving
from tests.nbd.memory_disk import MemoryDisk, MemoryExports
from tests.twins.hypervisor import MemoryHypervisor

MIB = 1 << 20
PATIENCE = 90.0
"""Seconds for one step of a guest under emulation on a busy machine: far more than it needs."""


LOG_SECONDS = 0.5
"""The log is looked at so often where the guest says nothing more."""


class World(Protocol):
    """A hypervisor, and what a test needs besides."""

    @property
    def hypervisor(self) -> Hypervisor: ...

    def guest(self, name: str, *, boots: bool = True, taps: int = 0) -> Guest:
        """One that may be started. One that does not boot answers nothing."""
        ...

    def disk(self, target: str, size: int) -> GuestDisk:
        """A further one, all zeros."""
        ...

    def resize(self, disk: GuestDisk, size: int) -> None: ...

    async def says(self, guest: Guest, pattern: str) -> re.Match[str]:
        """Wait until the guest has said that on its console since it was started."""
        ...

    async def kill(self, guest: Guest) -> None:
        """It ends, and nobody wanted that."""
        ...


@dataclass
class MemoryWorld:
    """The twin says nothing of disks by itself: what a real guest says of them is not waited for."""

    folder: Path
    hypervisor: MemoryHypervisor = field(default_factory=MemoryHypervisor)
    deaf: set[str] = field(default_factory=set)

    def guest(self, name: str, *, boots: bool = True, taps: int = 0) -> Guest:
        made = guest_of(name, self.folder, (GuestDisk("vda", name, "/nbd.sock", boot=1),) if boots else (), taps)
        if not boots:
            self.deaf.add(made.id)
        return made

    def disk(self, target: str, size: int) -> GuestDisk:
        return GuestDisk(target, f"disk-{target}", "/nbd.sock", serial=f"disk-{target}")

    def resize(self, disk: GuestDisk, size: int) -> None:
        pass

    async def says(self, guest: Guest, pattern: str) -> re.Match[str]:
        await trio.lowlevel.checkpoint()
        running = self.hypervisor.running[guest.id]
        running.deaf = guest.id in self.deaf
        found = re.search("", pattern)
        assert found is not None
        return found

    async def kill(self, guest: Guest) -> None:
        self.hypervisor.die(guest.id)


@dataclass
class LibvirtWorld:
    """Over an NBD server of this process."""

    folder: Path
    image: bytes
    hypervisor: Hypervisor
    exports: dict[str, MemoryDisk]
    socket: Path
    nursery: trio.Nursery
    consoles: dict[str, Heard] = field(default_factory=dict)

    def guest(self, name: str, *, boots: bool = True, taps: int = 0) -> Guest:
        if not boots:
            return guest_of(name, self.folder, (), taps)
        disk = self.disk("vda", len(self.image), f"{name}-root")
        root = self.exports[disk.export]
        root.content[:] = self.image
        root.kinds[:] = b"\2" * len(root.kinds)
        return guest_of(name, self.folder, (disk,), taps)

    def disk(self, target: str, size: int, serial: str = "") -> GuestDisk:
        export = serial or f"disk-{target}-{len(self.exports)}"
        self.exports[export] = MemoryDisk(size)
        return GuestDisk(target, export, str(self.socket), serial=export, boot=1 if serial else None)

    def resize(self, disk: GuestDisk, size: int) -> None:
        grown = MemoryDisk(size)
        old = self.exports[disk.export]
        grown.content[: old.size] = old.content
        self.exports[disk.export] = grown

    async def says(self, guest: Guest, pattern: str) -> re.Match[str]:
        heard = self.consoles.get(guest.id)
        if heard is None or heard.gone:
            heard = self.consoles[guest.id] = Heard(await trio.open_unix_socket(f"{guest.folder}/serial.sock"))
            self.nursery.start_soon(heard.listen)
        with trio.move_on_after(PATIENCE):
            while True:  # what came before the connection is in the log, and the log may be behind the connection
                text = read_console_log(guest.folder).decode(errors="replace")
                found = re.search(pattern, text) or re.search(pattern, heard.text)
                if found is not None:
                    return found
                assert not heard.gone, f"{guest.name} ended; it said: {text[-3000:]}"
                await heard.bell.wait(LOG_SECONDS)
        raise AssertionError(f"{guest.name} does not say {pattern}, but: {text[-3000:]}")

    async def kill(self, guest: Guest) -> None:
        name = f"guest={guest.name},".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and name in _command_line(folder):
                os.kill(int(folder.name), signal.SIGKILL)
                return
        raise AssertionError(f"{guest.name} does not run")


class Heard:
    """What a guest says on its serial console, as long as it is the same process."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.text = ""
        self.gone = False
        self.bell = Bell()

    async def listen(self) -> None:
        async with self._stream:
            with suppress(trio.BrokenResourceError):
                async for part in self._stream:
                    self.text += part.decode(errors="replace")
                    self.bell.ring()
        self.gone = True
        self.bell.ring()


def _command_line(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""


def guest_of(name: str, folder: Path, disks: tuple[GuestDisk, ...], taps: int) -> Guest:
    id_ = str(uuid4())
    own = folder / id_[:8]
    own.mkdir()
    nics = tuple(GuestNic(f"tt{id_[:8]}{number}", f"fa:16:3e:{id_[:2]}:00:0{number}", 1450) for number in range(taps))
    return Guest(id_, f"{name}-{id_[:8]}", f"<{name}> & co", "project", 192, 1, disks, nics, str(own))


@asynccontextmanager
async def libvirt_world(folder: Path, image: bytes, hypervisor: Hypervisor) -> AsyncIterator[LibvirtWorld]:
    """What was started ends with it."""
    disks: dict[str, MemoryDisk] = {}
    exports = MemoryExports()
    exports.disks = disks  # type: ignore[assignment]
    socket = folder / f"{uuid4().hex[:8]}.sock"
    async with serving(exports, socket), trio.open_nursery() as nursery:
        try:
            yield LibvirtWorld(folder, image, hypervisor, disks, socket, nursery)
        finally:
            with trio.CancelScope(shield=True):
                for id_ in await hypervisor.guests():
                    await hypervisor.stop(id_, 0)
            nursery.cancel_scope.cancel()
