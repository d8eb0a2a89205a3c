"""Disks are given to guests that run, taken away, and grow."""

from __future__ import annotations

from typing import Any

import libvirt
import trio

from compute_plugin.hypervisors.interface import GuestDisk
from compute_plugin.hypervisors.libvirt.connection import call
from compute_plugin.hypervisors.libvirt.disk_xml import disk_xml
from compute_plugin.hypervisors.libvirt.domain_disks import find_disk
from compute_plugin.hypervisors.libvirt.letting_go import (
    DETACH_SECONDS,
    Device,
    find_device,
    live_flags,
    take_away,
)
from compute_plugin.hypervisors.libvirt.nbd_nodes import HOLD_SECONDS, check_server, drop_spare, renew
from store.core.errors import DrystoneError, NotFoundError


async def attach(connection: Any, domain: Any, disk: GuestDisk, hold_seconds: int = HOLD_SECONDS) -> None:
    """Give a guest that runs one more disk; the requests to a volume wait while its server is away. Where the domain is
    defined, too, the disk is also in its definition. Raises RetryableError where no server answers, ConflictError,
    InvalidError, HypervisorError; then it has no such disk."""
    xml = disk_xml(disk)
    if disk.export:
        await check_server(disk.socket)  # while QEMU connects for libvirt, with no limit, the guest stands still
    await call(domain.attachDeviceFlags, xml, await live_flags(domain))
    if not disk.export:
        return
    try:
        await renew(domain, disk.target, hold_seconds)
    except DrystoneError:
        with trio.CancelScope(shield=True):
            await detach(connection, domain, disk.target)
        raise


async def detach(connection: Any, domain: Any, target: str, patience: float = DETACH_SECONDS) -> None:
    """Take a disk from a guest that runs, and return when it has let go. Raises NotFoundError where it has none there,
    RetryableError where the guest does not answer: it may let go later, and one may ask again."""
    device = await find_device(domain, f"disk/target[@dev='{target}']/..")
    if device is None:
        raise NotFoundError(f"domain {domain.name()} has no disk at {target}")
    volume = await find_disk(domain, target) if _is_volume(device) else None
    await take_away(connection, domain, device, target, patience)
    if volume is not None:
        await drop_spare(domain, volume)


async def grow(domain: Any, target: str, size: int, hold_seconds: int = HOLD_SECONDS) -> None:
    """Let a guest that runs see that a volume has become larger: `size` bytes, to which it was resized before. It may
    write meanwhile. Raises NotFoundError, MonitorError, HypervisorError."""
    await renew(domain, target, hold_seconds)
    await call(domain.blockResize, target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _is_volume(device: Device) -> bool:
    return 'type="network"' in device.xml.partition(">")[0]
