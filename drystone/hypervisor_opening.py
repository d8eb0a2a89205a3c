"""The hypervisor of this machine, by the URI that libvirt knows it by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Final

from compute_plugin.hypervisors.daemon import have_daemon
from compute_plugin.hypervisors.interface import Hypervisor
from compute_plugin.hypervisors.kvm.driver import qemu_hypervisor
from compute_plugin.hypervisors.libvirt.link import Link
from compute_plugin.hypervisors.lxc.driver import lxc_hypervisor
from compute_plugin.hypervisors.xen.driver import xen_hypervisor
from store.core.errors import InvalidError

Opening = Callable[[Link], AbstractAsyncContextManager[Hypervisor]]

KINDS: Final[Mapping[str, Opening]] = MappingProxyType(
    {"qemu": qemu_hypervisor, "lxc": lxc_hypervisor, "xen": xen_hypervisor}
)
"""By the scheme of the URI."""


@asynccontextmanager
async def opened(uri: str) -> AsyncIterator[Hypervisor]:
    """As long as the context lasts; guests run on after it. Raises InvalidError for none that is known here,
    RetryableError where nobody answers and it is not ours to start a daemon."""
    kind = uri.partition(":")[0].partition("+")[0]
    if kind not in KINDS:
        raise InvalidError(
            f"compute.hypervisor: {uri} is of no kind that is served here: {', '.join(KINDS)}, such as qemu:///system"
        )
    await have_daemon(uri)
    async with KINDS[kind](Link(uri)) as hypervisor:
        yield hypervisor
