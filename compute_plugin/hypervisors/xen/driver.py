"""The driver of Xen. Its volumes are loop devices, as those of containers are: libxl knows no NBD."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from compute_plugin.hypervisors.interface import Can, Guest
from compute_plugin.hypervisors.libvirt.driver import LibvirtHypervisor
from compute_plugin.hypervisors.libvirt.link import Link, linked
from compute_plugin.hypervisors.lxc.roots import Roots
from compute_plugin.hypervisors.xen.domain_xml import domain_xml

URI: Final = "xen:///system"


class XenHypervisor(LibvirtHypervisor):
    kind = "Xen"
    can = frozenset({Can.PAUSE, Can.RESCUE, Can.HAVE_DISKS})

    def __init__(self, link: Link, roots: Roots) -> None:
        super().__init__(link)
        self._roots = roots
        self._devices: dict[str, dict[str, str]] = {}

    async def xml(self, guest: Guest) -> str:
        return domain_xml(guest, self._devices[guest.id])

    async def prepare(self, guest: Guest) -> None:
        await super().prepare(guest)
        domain_xml(guest, {disk.target: "/dev/null" for disk in guest.disks})  # refused before anything is mounted
        await self.release(guest.id)
        made = self._devices[guest.id] = {}
        for disk in guest.disks:
            if disk.export:
                made[disk.target] = await self._roots.attach(f"{guest.id}-{disk.target}", disk, whole=True)

    async def connect_disks(self, domain: Any) -> None:
        """It has none that could be connected anew."""

    async def release(self, id_: str) -> None:
        self._devices.pop(id_, None)
        for name in await self._roots.names(f"{id_}-"):
            await self._roots.release(name)


@asynccontextmanager
async def xen_hypervisor(link: Link, roots: Roots | None = None) -> AsyncIterator[XenHypervisor]:
    """As long as the context lasts; guests run on after it."""
    async with linked(link):
        yield XenHypervisor(link, roots or Roots())
