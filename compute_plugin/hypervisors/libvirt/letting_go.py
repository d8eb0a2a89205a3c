"""Devices are taken from guests that run: the guest's system has to let go of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import libvirt
import trio

from compute_plugin.hypervisors.interface import HypervisorError
from compute_plugin.hypervisors.libvirt.connection import call, events
from compute_plugin.hypervisors.libvirt.elements import parsed
from store.core.errors import NotFoundError, RetryableError

DETACH_SECONDS: Final = 60.0
"""A guest that runs lets go of a disk within a second; one that boots, or hangs, does not answer at all."""


class Device(NamedTuple):
    """A device of a domain that runs."""

    alias: str
    """libvirt's name for it, that events have."""
    xml: str


async def find_device(domain: Any, path: str) -> Device | None:
    """The first of the domain's devices at this path of ElementTree, below <devices>; None where there is none."""
    devices = parsed(await call(domain.XMLDesc, 0)).find("devices")
    found = None if devices is None else devices.find(path)
    if found is None:
        return None
    alias = found.find("alias")
    return Device("" if alias is None else alias.get("name", ""), ElementTree.tostring(found, encoding="unicode"))


async def take_away(connection: Any, domain: Any, device: Device, name: str, patience: float = DETACH_SECONDS) -> None:
    """Return when the guest has let go. Raises RetryableError where it does not answer: it may let go later, and one
    may ask again; HypervisorError where it refuses."""
    kinds = (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED)
    async with events(connection, *kinds, domain=domain) as heard:
        try:
            await call(domain.detachDeviceFlags, device.xml, await live_flags(domain))
        except NotFoundError:
            return  # it had been asked before, and let go just now
        except HypervisorError as error:
            if "already in the process of unplug" not in str(error):
                raise
        with trio.move_on_after(patience) as waiting:
            while True:
                kind, _, alias, *_ = await heard.next()
                if alias == device.alias:
                    break
        if waiting.cancelled_caught:
            raise RetryableError(f"the guest does not let go of {name}: is its system running?")
        if kind == libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED:
            raise HypervisorError(f"the guest refuses to let go of {name}")


async def live_flags(domain: Any) -> int:
    """For a change of the domain as it runs, and of its definition where it has one."""
    flags: int = libvirt.VIR_DOMAIN_AFFECT_LIVE
    if await call(domain.isPersistent):
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return flags
