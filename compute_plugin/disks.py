"""Volumes are given to guests that run, taken away, and grow."""

from __future__ import annotations

from typing import Any, Final

import libvirt
import trio

from compute_plugin.connection import HypervisorError, call, events
from compute_plugin.disk_xml import VolumeDisk, disk_xml
from compute_plugin.domain_disks import find_disk
from compute_plugin.nbd_nodes import HOLD_SECONDS, check_server, drop_spare, renew
from store.core.errors import DrystoneError, RetryableError

DETACH_SECONDS: Final = 60.0
"""A guest that runs lets go of a disk within a second; one that boots, or hangs, does not answer at all."""


async def attach(connection: Any, domain: Any, disk: VolumeDisk, hold_seconds: int = HOLD_SECONDS) -> None:
    """Give a guest that runs one more disk, whose requests wait while its server is away. Where it is defined, too, the
    disk is also in its definition. Raises RetryableError where no server answers, ConflictError, InvalidError,
    HypervisorError; then it has no such disk."""
    await check_server(disk.socket)  # while QEMU connects for libvirt, which sets no limit, the guest stands still
    flags = await _flags(domain)
    await call(domain.attachDeviceFlags, disk_xml(disk), flags)
    try:
        await renew(domain, disk.target, hold_seconds)
    except DrystoneError:
        with trio.CancelScope(shield=True):
            await detach(connection, domain, disk.target)
        raise


async def detach(connection: Any, domain: Any, target: str, patience: float = DETACH_SECONDS) -> None:
    """Take a disk from a guest that runs, and return when it has let go. Raises NotFoundError where it has none there,
    RetryableError where the guest does not answer: it may let go later, and one may ask again."""
    disk = await find_disk(domain, target)
    kinds = (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED)
    async with events(connection, *kinds, domain=domain) as heard:
        await call(domain.detachDeviceFlags, disk.xml, await _flags(domain))
        with trio.move_on_after(patience) as waiting:
            while True:
                kind, _, alias, *_ = await heard.next()
                if alias == disk.alias:
                    break
        if waiting.cancelled_caught:
            raise RetryableError(f"the guest does not let go of {target}: is its system running?")
        if kind == libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED:
            raise HypervisorError(f"the guest refuses to let go of {target}")
    await drop_spare(domain, disk)


async def grow(domain: Any, target: str, size: int, hold_seconds: int = HOLD_SECONDS) -> None:
    """Let a guest that runs see that a volume has become larger: `size` bytes, to which it was resized before. It may
    write meanwhile. Raises NotFoundError, MonitorError, HypervisorError."""
    await renew(domain, target, hold_seconds)
    await call(domain.blockResize, target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


async def _flags(domain: Any) -> int:
    flags: int = libvirt.VIR_DOMAIN_AFFECT_LIVE
    if await call(domain.isPersistent):
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return flags
