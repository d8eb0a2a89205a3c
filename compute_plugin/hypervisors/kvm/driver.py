"""The driver of QEMU: under KVM where that works, and in emulation where it does not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from compute_plugin.hypervisors.interface import Can, Guest
from compute_plugin.hypervisors.kvm.domain_xml import Host, domain_xml
from compute_plugin.hypervisors.kvm.moved_xml import moved_xml
from compute_plugin.hypervisors.kvm.probe import kvm_works
from compute_plugin.hypervisors.libvirt.driver import LibvirtHypervisor
from compute_plugin.hypervisors.libvirt.link import Link, linked
from compute_plugin.hypervisors.libvirt.marks import ToDo

log = structlog.get_logger()

URI: Final = "qemu:///system"


class QemuHypervisor(LibvirtHypervisor):
    kind = "QEMU"
    """Under KVM, too: so the reference cloud calls it."""
    can = frozenset(Can)

    def __init__(self, link: Link, host: Host) -> None:
        super().__init__(link)
        self._host = host

    async def xml(self, guest: Guest) -> str:
        return domain_xml(guest, self._host)

    async def moved(self, xml: str, guest: Guest, to_do: ToDo) -> str:
        return moved_xml(xml, guest, self._host, to_do)


@asynccontextmanager
async def qemu_hypervisor(link: Link, *, cpu: str = "host-model", owner: str = "") -> AsyncIterator[QemuHypervisor]:
    """As long as the context lasts; guests run on after it. QEMU runs as `owner` (`+0:+0`), and as this process where
    that is not said: the sockets of volumes are its own. Nobody has to answer yet."""
    accelerator = "kvm" if await trio.to_thread.run_sync(kvm_works) else "qemu"
    log.info("guests run by QEMU", accelerator=accelerator, uri=link.uri)
    host = Host(accelerator, cpu, owner or f"+{os.geteuid()}:+{os.getegid()}")
    async with linked(link):
        yield QemuHypervisor(link, host)
