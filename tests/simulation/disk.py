"""A disk that loses what was not synced: the simulated twin of `store.core.disk`.

What it may do to data, all of it drawn from one seed:

- **Power loss.** Of every file, each 512-byte sector written since the last sync of that file is kept or lost by itself
  (so a write may be kept, lost or torn). What a sync covered stays. Sizes follow what was kept.
- **Names.** Creations, renames and removals in a folder are durable with `sync_folder`; of those behind it a prefix
  survives, in their order. A file whose name did not survive is gone, synced or not.
- **Death of the process** (kill -9): everything stays as it was written, but stays unsynced: a power loss later may
  still take it.
- **A cut in the middle.** At the n-th operation (`crash_point`) PowerLoss is raised. A write that is cut may have been
  done in part, a sync in part, a rename is pending or was never begun.
- **A failed sync** (`fail_syncs`) raises EIO, and the pages then count as clean: each sector either reached the disk or
  never will, whatever later syncs say; and what did not may read as the old data from then on.
- **Damage to durable data**: flipped bits (`flip`), and ranges that cannot be read (`unreadable`), which raise EIO. A
  range that is overwritten can be read again.
- **A full disk**: `capacity` bounds the sum of all files; `write` and `allocate` beyond it raise ENOSPC, a write after
  having been done in part.
- **A dead disk** (`broken`): every operation raises EIO. One that was **taken away** (`gone`) does so for this process
  alone; another may have the medium meanwhile.
- **A disk that hangs**: while its `gate` is shut, jobs of its workers do not begin.
- `punch` reads as zeros from then on, but like any write it may be undone by a power loss.

A `SimMedium` is what survives; a `SimDisk` is that medium in the hands of one process; it ends with its crash point.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from random import Random

from store.core.direct import Buffer
from store.core.errors import DamageError
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.worker import Gate, SimWorker, Turns

SECTOR = 512


class SimInode:
    """One file's bytes: as they read now, as they surely are on the disk, and which writes lie between."""

    def __init__(self) -> None:
        self.now = bytearray()
        self.stable = bytearray()
        self.pending: list[tuple[int, int]] = []
        """(start, stop) of what was written since the last sync; `now` has the bytes."""
        self.unreadable: list[tuple[int, int]] = []

    def put(self, offset: int, data: Buffer) -> None:
        if not data:
            return
        stop = offset + len(data)
        if stop > len(self.now):
            self.now.extend(bytes(stop - len(self.now)))
        self.now[offset:stop] = data
        self.pending.append((offset, stop))
        self.unreadable = [(low, high) for low, high in self.unreadable if not (offset <= low and high <= stop)]

    def settle(self) -> None:
        """A sync: what reads now is on the disk."""
        for start, stop in self.pending:
            _copy(self.now, self.stable, start, stop)
        self.pending.clear()
        if len(self.stable) < len(self.now):
            self.stable.extend(bytes(len(self.now) - len(self.stable)))

    def tear(self, random: Random) -> None:
        """Decide for each unsynced sector whether it reached the disk; nothing is unsynced afterwards."""
        if self.pending:
            sectors = _sectors(self.pending)
            mood = random.random()
            if mood < 0.15:
                kept = []
            elif mood < 0.5:
                lost = random.choice(sectors)
                kept = [sector for sector in sectors if sector != lost]
            else:
                share = random.random() if mood < 0.85 else 1.0
                kept = [sector for sector in sectors if random.random() < share]
            for sector in kept:
                _copy(self.now, self.stable, sector, min(sector + SECTOR, len(self.now)))
        self.pending.clear()


class SimMedium:
    """What survives of a disk: files, their names, and damage."""

    def __init__(self, random: Random, capacity: int = 1 << 40) -> None:
        self.random = random
        self.capacity = capacity
        self.names: dict[str, SimInode] = {}
        self.stable_names: dict[str, SimInode] = {}
        self.folders = {""}
        self.pending_names: dict[str, list[tuple[str, str, SimInode | None]]] = {}
        self.fail_syncs = 0
        """So many of the next syncs fail."""
        self.sync_failure_rate = 0.0
        self.broken = False

    @property
    def troubled(self) -> bool:
        """Whether opening what is on it may fail."""
        return self.broken or self.fail_syncs > 0 or self.capacity < 1 << 40

    def lose_power(self) -> None:
        """All that was not durable is kept, lost or torn."""
        for pending in self.pending_names.values():
            for change in pending[: self.random.randint(0, len(pending))]:
                _rename(self.stable_names, *change)
        self.pending_names.clear()
        self.names = dict(self.stable_names)
        for name in sorted(self.names):
            inode = self.names[name]
            inode.tear(self.random)
            inode.now = bytearray(inode.stable)

    def settle(self) -> None:
        """Everything becomes durable, as after a while without a crash."""
        self.stable_names = dict(self.names)
        self.pending_names.clear()
        for inode in self.names.values():
            inode.settle()

    def change(self, name: str, other: str, inode: SimInode | None) -> None:
        """Rename `name` to `other` ("" removes it), or create it with an inode."""
        _rename(self.names, name, other, inode)
        self.pending_names.setdefault(os.path.dirname(name), []).append((name, other, inode))

    def used(self) -> int:
        return sum(len(inode.now) for inode in self.names.values())

    def files(self, suffix: str = "") -> list[str]:
        return sorted(name for name in self.names if name.endswith(suffix))

    def flip(self, name: str, offset: int, mask: int = 1) -> None:
        """Damage one durable byte."""
        inode = self.names[name]
        for data in (inode.now, inode.stable):
            if offset < len(data):
                data[offset] ^= mask

    def unreadable(self, name: str, start: int, stop: int) -> None:
        """Make a range raise EIO until it is overwritten."""
        self.names[name].unreadable.append((start, stop))

    def copy(self) -> SimMedium:
        """As it reads now, durable: the disk is pulled, and lies in a drawer."""
        copy = SimMedium(Random(self.random.getrandbits(64)), self.capacity)
        copy.folders = set(self.folders)
        for name, inode in self.names.items():
            copy.names[name] = SimInode()
            copy.names[name].put(0, inode.now)
        copy.settle()
        return copy

    def wipe(self) -> None:
        """An empty disk is put in place of this one."""
        self.names.clear()
        self.stable_names.clear()
        self.pending_names.clear()
        self.folders = {""}
        self.broken = False


class SimFile:
    """One open file."""

    def __init__(self, disk: SimDisk, name: str, inode: SimInode) -> None:
        self._disk = disk
        self.name = name
        self._inode = inode

    def read(self, offset: int, length: int) -> bytes:
        self._disk.step(f"read {self.name}")
        return self._bytes(offset, length)

    def _bytes(self, offset: int, length: int) -> bytes:
        for low, high in self._inode.unreadable:
            if low < offset + length and offset < high:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(memoryview(self._inode.now)[offset : offset + length])

    def read_cached(self, offset: int, length: int) -> bytearray | None:
        disk = self._disk
        if disk.crash_point.dead or disk.medium.broken or disk.gone or disk.medium.random.random() < 0.5:
            return None
        data = self._bytes(offset, length)
        return bytearray(data) if len(data) == length else None

    def write(self, offset: int, buffers: Sequence[Buffer], *, cached: bool = True) -> None:
        data = b"".join(buffers)
        assert cached or not (offset % 4096 or len(data) % 4096), "a direct write must be aligned"
        medium = self._disk.medium
        try:
            self._disk.step(f"write {self.name} {offset} {len(data)}")
        except PowerLoss:
            if self._disk.at_the_cut:
                self._inode.put(offset, data[: medium.random.randint(0, len(data))])
            raise
        self._make_room(offset, data)
        self._inode.put(offset, data)

    def _make_room(self, offset: int, data: bytes) -> None:
        grows = offset + len(data) - len(self._inode.now)
        if grows > 0:
            room = self._disk.free_bytes()
            if grows > room:
                self._inode.put(offset, data[: max(0, len(data) - grows + room)])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        medium = self._disk.medium
        self._disk.step(f"sync {self.name}")
        if medium.fail_syncs or (medium.sync_failure_rate and medium.random.random() < medium.sync_failure_rate):
            medium.fail_syncs = max(0, medium.fail_syncs - 1)
            size = len(self._inode.now)
            self._inode.tear(medium.random)
            if medium.random.random() < 0.5:
                self._inode.now = bytearray(self._inode.stable.ljust(size, b"\0"))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._inode.settle()

    def allocate(self, length: int) -> None:
        self._disk.step(f"allocate {self.name} {length}")
        grows = length - len(self._inode.now)
        if grows > self._disk.free_bytes():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if grows > 0:
            self._inode.now.extend(bytes(grows))

    def punch(self, offset: int, length: int) -> None:
        self._disk.step(f"punch {self.name} {offset} {length}")
        length = min(length, len(self._inode.now) - offset)
        if length > 0:
            self._inode.put(offset, bytes(length))

    def size(self) -> int:
        return len(self._inode.now)


class SimDisk:
    """A medium in the hands of one process."""

    def __init__(self, medium: SimMedium, crash_point: CrashPoint, turns: Turns) -> None:
        self.medium = medium
        self.crash_point = crash_point
        self._turns = turns
        self.at_the_cut = False
        """Whether the cut came at an operation of this disk."""
        self.gone = False
        """Whether the medium was taken away: whatever is done from then on fails, and does nothing."""
        self.gate = Gate()

    def step(self, what: str) -> None:
        was_dead = self.crash_point.dead
        try:
            self.crash_point.step(what)
        except PowerLoss:
            self.at_the_cut = not was_dead
            raise
        if self.medium.broken or self.gone:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def index_step(self, what: str) -> None:
        """The same for an index that lies on this disk, whose errors are the index's own."""
        try:
            self.step(what)
        except OSError as error:
            raise DamageError(f"index: {error}") from error

    def open(self, name: str, *, create: bool = False) -> SimFile:
        self.step(f"open {name}")
        inode = self.medium.names.get(name)
        if inode is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            inode = SimInode()
            self.medium.change(name, name, inode)
        return SimFile(self, name, inode)

    def list(self, folder: str) -> list[str]:
        self.step(f"list {folder}")
        names = [name for name in self.medium.names if os.path.dirname(name) == folder]
        found = [os.path.basename(name) for name in sorted(names)]
        self.medium.random.shuffle(found)
        return found

    def remove(self, name: str) -> None:
        self.step(f"remove {name}")
        if name not in self.medium.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self.medium.change(name, "", None)

    def rename(self, old: str, new: str) -> None:
        self.step(f"rename {old} {new}")
        if old not in self.medium.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
        self.medium.change(old, new, None)

    def sync_folder(self, folder: str) -> None:
        self.step(f"sync folder {folder}")
        for change in self.medium.pending_names.pop(folder, []):
            _rename(self.medium.stable_names, *change)

    def make_folder(self, folder: str) -> None:
        self.step(f"make folder {folder}")
        self.medium.folders.add(folder)

    def free_bytes(self) -> int:
        return max(0, self.medium.capacity - self.medium.used())

    def worker(self, name: str) -> SimWorker:
        return SimWorker(self._turns, self.gate)


def _rename(names: dict[str, SimInode], name: str, other: str, inode: SimInode | None) -> None:
    if inode is not None:
        names[name] = inode
        return
    moved = names.pop(name, None)
    if other and moved is not None:
        names[other] = moved


def _copy(source: bytearray, target: bytearray, start: int, stop: int) -> None:
    if len(target) < stop:
        target.extend(bytes(stop - len(target)))
    target[start:stop] = source[start:stop]


def _sectors(ranges: list[tuple[int, int]]) -> list[int]:
    """The first bytes of all sectors that the ranges touch, in order."""
    found: list[int] = []
    for start, stop in sorted(ranges):
        first = start - start % SECTOR
        if found:
            first = max(first, found[-1] + SECTOR)
        found.extend(range(first, stop, SECTOR))
    return found
