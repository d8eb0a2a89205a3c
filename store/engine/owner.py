"""Owning a device: what the process that has its folder does with it, beside what everybody does through the port.

Public: for the owner of devices, with `folder`, `options` and `dump`. Nothing else of the engine is used from outside.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import trio

from store.core.disk import SystemDisk
from store.core.errors import ConflictError, DamageError, DeviceError
from store.device.port import DevicePort
from store.engine.check import Report, check_device
from store.engine.device import Device
from store.engine.folder import find_superblock
from store.engine.in_use import InUse
from store.engine.index import LmdbIndex
from store.engine.opening import open_device
from store.engine.options import Options

LOOK_SECONDS = 10.0


class DeviceStatus(NamedTuple):
    """How a device does. `damage` has a line for each of the first `damages`; the rest is counted since it was
    opened. Asks no disk."""

    live_bytes: int
    damages: int
    damage: tuple[str, ...]
    broken_index: bool
    """The index itself was found corrupt: the next start makes it anew from the log."""
    commits: int
    """Syncs of the log."""
    records: int
    """Records that these made durable."""
    syncs: int
    """Of the log, of bulk segments, and two for each time the index was written."""


class OwnedDevice:
    """One open device in the hands of its owner. Everybody else is given its `port`."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.port: DevicePort = device
        self.incarnation = device.incarnation
        """Tells this folder from an older one that had the same place."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do what is to be done meanwhile, until cancelled: a device that is not run takes writes for a while."""
        await self._device.run(task_status=task_status)

    async def close(self) -> None:
        """Make everything durable and let go of it. Raises DrystoneError or OSError where that cannot be done: what was
        acknowledged is in the log, and the next start reads it again."""
        await self._device.close()

    def stop_workers(self) -> None:
        """Blocks until what a device that is out was at has come to its end, which on a disk that hangs may be never:
        this may be called in any thread."""
        self._device.stop_workers()

    def release(self) -> None:
        """Let go of a device that is out, once its workers have stopped."""
        self._device.release()

    def fail(self, why: str) -> None:
        """Take it out: its folder must not be used any more."""
        self._device.fail(why)

    def status(self) -> DeviceStatus:
        """How it does."""
        device = self._device
        health = device.health
        live_bytes = sum(device.segment_usage.live.values())
        return DeviceStatus(
            live_bytes, health.damages, tuple(health.damage), health.broken_index, *device.commits, device.syncs
        )

    async def check(self) -> Report:
        """Read and verify everything on it, while nobody uses it."""
        return await check_device(self._device)


async def open_folder(
    number: int, cluster: bytes, path: str, stack: ExitStack, options: Options | None = None
) -> OwnedDevice:
    """Open the device in a folder of this machine; `stack` lets go of the folder, once it is closed. A damaged index is
    set aside and rebuilt from the log.

    Raises DeviceError where there is no such device or a newer program wrote it, ConflictError where another process
    has it.
    """
    # Asked first and in a thread: a folder without a device must stay as it is, and a disk that hangs must not hold us.
    with trio.move_on_after(LOOK_SECONDS) as looking:
        await trio.to_thread.run_sync(find_superblock, path, abandon_on_cancel=True)
    if looking.cancelled_caught:
        raise DeviceError(f"{path} did not answer within {LOOK_SECONDS:.0f} s")
    try:
        disk = SystemDisk(path)
    except BlockingIOError as error:
        raise ConflictError(f"the device in {path} is open in another process") from error
    stack.callback(disk.close)
    in_use = InUse(number, path)
    await in_use.begin()
    opening = partial(open_device, number, cluster, disk, lambda: LmdbIndex(in_use.index), options)
    try:
        device = await opening()
    except DamageError as error:
        in_use.set_aside(str(error))
        device = await opening()
    stack.callback(_leave, device, in_use)
    return OwnedDevice(device)


def _leave(device: Device, in_use: InUse) -> None:
    in_use.end(in_order=device.closed, broken_index=device.health.broken_index)
