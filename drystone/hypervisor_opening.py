"""The hypervisor of this machine, by the URI that libvirt knows it by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from compute_plugin.hypervisors.interface import Hypervisor
from compute_plugin.hypervisors.kvm.driver import qemu_hypervisor
from compute_plugin.hypervisors.libvirt.link import Link
from store.core.errors import InvalidError


@asynccontextmanager
async def opened(uri: str) -> AsyncIterator[Hypervisor]:
    """As long as the context lasts; guests run on after it. Raises InvalidError for none that is known here."""
    kind = uri.partition(":")[0].partition("+")[0]
    if kind != "qemu":
        raise InvalidError(f"compute.hypervisor: {uri} is of no kind that is known here; such as qemu:///system")
    async with qemu_hypervisor(Link(uri)) as hypervisor:
        yield hypervisor
