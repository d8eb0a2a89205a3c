"""Which folder is which device: what the registry believes, and what every device keeps of that.

A device that is opened joins by its incarnation (see `device_records`) and by which opening of it was the last (see
`device_opening`). A folder that is not the one the registry knows, or an older copy of that, or one that is behind, is
not in sync from before it is used until it has rejoined; then the registry learns that. A device that the registry does
not know at all is one of a version that knew no incarnations.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog
import trio

from drystone.cluster import Cluster
from drystone.device_copies import DeviceCopies
from drystone.device_opening import OPENING_BYTES, is_stale, read_opening, write_opening
from drystone.device_records import DeviceRecord, find_record, load_records, save_records
from drystone.device_watch import Housed
from drystone.folder import DataFolder
from store.core.entropy import Random
from store.core.errors import ConflictError, DamageError
from store.engine.owner import OwnedDevice, open_folder
from store.registry import Registry
from store.ring import Ring

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT)
log = structlog.get_logger()


class Membership:
    """Opens devices as what the registry says that they are."""

    def __init__(
        self, folder: DataFolder, cluster: Cluster, registry: Registry, ring: Ring, random: Random, node: str = ""
    ) -> None:
        """`node` is the name of this one, where there are others."""
        self._random = random
        self._node = node
        self._folder = folder
        self._cluster = cluster
        self._registry = registry
        self._ring = ring
        self._copies = DeviceCopies(cluster)
        self._records: dict[int, DeviceRecord] = {}
        self._paths: dict[int, str] = {}
        self._joined: dict[int, OwnedDevice] = {}
        self._changed = trio.Event()
        self._keeping = trio.Lock()

    async def load(self) -> None:
        """Read what the registry says. To be called first, and when it says something else."""
        self._records = await load_records(self._registry)

    def path(self, number: int) -> str:
        """Where a device of this node is. Of one that the ring has lost meanwhile nothing is known any more."""
        record, device = self._records.get(number), self._ring.devices.get(number)
        return self._folder.device(record.label if record else device.label if device else "")

    def is_own(self, number: int) -> bool:
        """Whether this node has a device."""
        return self.node_of(number) == self._node

    def node_of(self, number: int) -> str:
        """The node that has a device; empty on a machine alone."""
        record = self._records.get(number)
        return record.node if record else ""

    @property
    def own(self) -> list[int]:
        """The devices of the ring that this node has."""
        return [number for number in self._ring.devices if self.is_own(number)]

    @property
    def places(self) -> dict[int, str]:
        """Which node has which device of the ring."""
        return {number: self.node_of(number) for number in self._ring.devices}

    @property
    def folders(self) -> list[str]:
        """Where the devices are that this process serves now."""
        return [
            path
            for number, path in self._paths.items()
            if self._joined[number].port.failed is None and self.is_own(number)
        ]

    async def open(self, number: int, stack: ExitStack) -> Housed:
        """Open a device from where it lies now, ready to serve. Raises DrystoneError, OSError."""
        record = await find_record(self._registry, number)
        if record is not None:
            self._records[number] = record
        if not self.is_own(number):
            raise ConflictError(f"device {number} is on node {self.node_of(number)}")
        path = self.path(number)
        device = await open_folder(number, self._cluster.id, path, stack)
        try:
            self._check_ring(self._copies.found(path), path)
            await self._join(device, path)
            look = partial(_look, path, _identity(path))
            housed = Housed(device, look(), look)
        except BaseException:
            await device.close()
            raise
        self._paths[number] = path
        self._joined[number] = device
        self._copies.forget(path)
        device.port.on_in_sync = self._wake
        self._wake()
        return housed

    def _check_ring(self, known: Ring | None, path: str) -> None:
        """Raises DamageError where a device knows a newer ring than the registry, which is of before then."""
        if known is not None and known.newest.version > self._ring.newest.version:
            raise DamageError(
                f"{path} knows layout {known.newest.version} of the ring, and the registry "
                f"{self._ring.newest.version}: it was put back to an older state, by which data would be looked for in "
                "wrong places. Recover it with this device (docs/operations.md)"
            )

    async def _join(self, device: OwnedDevice, path: str) -> None:
        known = self._records.get(device.port.id)
        opening = await _in_thread(partial(read_opening, path))
        if known is not None:
            another = known.incarnation != device.incarnation or is_stale(known.opening, opening)
            if another:
                log.warning(
                    "the folder of a device is not the one that was here last: what it holds is not believed before "
                    "it has been compared with all others",
                    device=device.port.id,
                )
            if (another or not known.in_sync) and device.port.in_sync:
                await device.port.set_in_sync(in_sync=False)
        await self._learn(device, await self._renew_opening(device, path, opening))

    async def _renew_opening(self, device: OwnedDevice, path: str, opening: bytes) -> bytes:
        """Have the device keep the id of this opening in the place of that of the one before; which it keeps then."""
        new = self._random.bytes(OPENING_BYTES)
        if opening:
            await self._learn(device, opening + new)
        try:
            await _in_thread(partial(write_opening, path, new))
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.warning("a device is too full to keep which opening this is", device=device.port.id)
            return opening
        return new

    async def _learn(self, device: OwnedDevice, opening: bytes | None = None) -> None:
        """Have the registry say what this device is now, and which opening of it counts, if that is another."""
        known = self._records.get(device.port.id)
        label = known.label if known is not None else self._ring.devices[device.port.id].label
        if opening is None:
            opening = known.opening if known is not None else b""
        record = DeviceRecord(device.incarnation, device.port.in_sync, label, self._node, opening)
        if record != known:
            await save_records(self._registry, {device.port.id: record})
            self._records[device.port.id] = record

    async def note_absent(self) -> None:
        """A device that the registry knows nothing of and that is not here: no folder is to be believed unseen. Of a
        cluster the registry knows all."""
        if self._node:
            return
        absent = {
            number: DeviceRecord(b"", in_sync=False, label=device.label)
            for number, device in self._ring.devices.items()
            if number not in self._records
        }
        await save_records(self._registry, absent)
        self._records |= absent

    def know(self, ring: Ring) -> None:
        """This is the ring from now on."""
        self._ring = ring

    async def keep(self) -> None:
        """On return every device that is here has the ring and what the registry says of devices."""
        async with self._keeping:
            records = {  # the opening is for the registry alone: who has lost that believes whatever is there
                number: replace(record, opening=b"")
                for number, record in self._records.items()
                if number in self._ring.devices
            }
            await self._copies.write(self.folders, self._ring, records)

    async def run(self) -> None:
        """Have the registry and the devices know what devices come to be, until cancelled."""
        while True:
            await self.keep()
            await self._changed.wait()
            self._changed = trio.Event()
            for device in list(self._joined.values()):
                if device.port.failed is None and self.is_own(device.port.id):
                    await self._learn(device)

    def _wake(self) -> None:
        self._changed.set()


async def _in_thread(work: Callable[[], T]) -> T:
    """On the disk of a device, which may hang."""
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)


def _identity(path: str) -> tuple[int, int]:
    """Which file is the lock of the device in this folder."""
    found = os.stat(os.path.join(path, "lock"))
    return found.st_dev, found.st_ino


def _look(path: str, opened: tuple[int, int]) -> int:
    """Free bytes there. Blocks. Raises OSError where the folder is not the one that was opened."""
    if _identity(path) != opened:
        raise FileNotFoundError(f"{path} is not the folder that was opened")
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize
