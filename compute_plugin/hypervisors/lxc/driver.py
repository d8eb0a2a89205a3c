"""The driver of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import libvirt
import trio

from compute_plugin.hypervisors.interface import Can, Guest
from compute_plugin.hypervisors.libvirt.connection import call
from compute_plugin.hypervisors.libvirt.driver import LibvirtHypervisor
from compute_plugin.hypervisors.libvirt.link import Link, linked
from compute_plugin.hypervisors.lxc.consoles import forget, record
from compute_plugin.hypervisors.lxc.domain_xml import domain_xml
from compute_plugin.hypervisors.lxc.first_process import ask_init_to_end
from compute_plugin.hypervisors.lxc.roots import Roots
from store.core.beside import beside
from store.core.errors import ConflictError, InvalidError

URI: Final = "lxc:///system"


class LxcHypervisor(LibvirtHypervisor):
    kind = "LXC"
    can = frozenset({Can.PAUSE})
    create_flags = 0

    def __init__(self, link: Link, roots: Roots) -> None:
        super().__init__(link)
        self._roots = roots
        self._devices: dict[str, str] = {}

    async def xml(self, guest: Guest) -> str:
        return domain_xml(guest, self._devices[guest.id])

    async def prepare(self, guest: Guest) -> None:
        await super().prepare(guest)
        if len(guest.disks) != 1:
            raise InvalidError(f"a container has one disk, its root file system, not {len(guest.disks)}")
        domain_xml(guest, "/dev/null")  # what cannot be made is refused before anything is mounted
        await trio.to_thread.run_sync(forget, guest.folder)
        self._devices[guest.id] = await self._roots.attach(guest.id, guest.disks[0])

    async def connect_disks(self, domain: Any) -> None:
        """It has none that could be connected anew."""

    async def release(self, id_: str) -> None:
        self._devices.pop(id_, None)
        await self._roots.release(id_)

    async def ask_to_end(self, domain: Any) -> bool:
        """Its first process gets a signal. libvirt has that, too, but of a container that began on a busy machine it
        may never have heard which process that is."""
        return await trio.to_thread.run_sync(ask_init_to_end, await call(domain.ID))

    async def reboot(self, id_: str, patience_s: float) -> bool:
        """There is no way to ask the first process of a container that all know."""
        domain = await self._existing(id_)
        if not await self._is(domain, libvirt.VIR_DOMAIN_RUNNING):
            raise ConflictError(f"guest {id_} does not run: it is paused")
        return False


@asynccontextmanager
async def lxc_hypervisor(link: Link, roots: Roots | None = None) -> AsyncIterator[LxcHypervisor]:
    """As long as the context lasts; containers run on after it, and what they say then is kept by nobody."""
    async with linked(link):
        hypervisor = LxcHypervisor(link, roots or Roots())
        async with beside(record, hypervisor, link):
            yield hypervisor
