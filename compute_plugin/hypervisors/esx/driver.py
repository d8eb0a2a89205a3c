"""The driver of ESX, or of one host below a vCenter. Its guests are defined as long as they run: it has no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

import libvirt
import trio

from compute_plugin.hypervisors.esx.changes import LOOK_SECONDS, PolledChanges
from compute_plugin.hypervisors.esx.domain_xml import MARK, Place, domain_xml
from compute_plugin.hypervisors.interface import Can, Changes, Guest, GuestState, UnsupportedError
from compute_plugin.hypervisors.libvirt.connection import call, start_events
from compute_plugin.hypervisors.libvirt.driver import LibvirtHypervisor
from compute_plugin.hypervisors.libvirt.link import Link, linked
from compute_plugin.hypervisors.libvirt.states import state_of
from store.core.errors import ConflictError, DrystoneError, NotFoundError, RetryableError


class EsxHypervisor(LibvirtHypervisor):
    kind = "VMware vCenter Server"
    can = frozenset({Can.PAUSE, Can.HAVE_DISKS})

    def __init__(self, link: Link, place: Place) -> None:
        super().__init__(link)
        self._place = place

    async def xml(self, guest: Guest) -> str:
        return domain_xml(guest, self._place)

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        return self._changes()

    @asynccontextmanager
    async def _changes(self) -> AsyncIterator[Changes]:
        yield PolledChanges(self.guests, await self.guests())

    async def guests(self) -> dict[str, GuestState]:
        return await call(_read_guests, await self._link.connection())

    async def start(self, guest: Guest, *, saved: str = "") -> None:
        if saved:
            raise UnsupportedError("ESX keeps no memory in files of ours")
        xml = await self.xml(guest)
        connection = await self._link.connection()
        domain: Any = await self._find(guest.id)
        if domain is None:
            domain = await call(connection.defineXML, xml)
        if not await self._is(domain, libvirt.VIR_DOMAIN_SHUTOFF):
            return
        try:
            await call(domain.create)
        except RetryableError:
            raise
        except DrystoneError:
            with trio.CancelScope(shield=True), suppress(DrystoneError):
                await call(domain.undefine)
            raise

    async def stop(self, id_: str, patience_s: float) -> None:
        domain = await self._find(id_)
        if domain is None:
            return
        with suppress(NotFoundError):
            if patience_s > 0 and await self._is(domain, libvirt.VIR_DOMAIN_RUNNING):
                await self._shut_down(domain, patience_s)
            if not await self._is(domain, libvirt.VIR_DOMAIN_SHUTOFF):
                with suppress(ConflictError):  # it has ended by itself meanwhile
                    await call(domain.destroy)
            await call(domain.undefine)

    async def _shut_down(self, domain: Any, patience_s: float) -> None:
        """By VMware's tools in the guest, where it has them."""
        if await self._press(partial(domain.shutdown)):
            with trio.move_on_after(patience_s):
                while True:
                    if await self._is(domain, libvirt.VIR_DOMAIN_SHUTOFF):
                        return
                    await trio.sleep(LOOK_SECONDS)

    async def reboot(self, id_: str, patience_s: float) -> bool:
        """Whether it was asked: ESX does not tell when it has."""
        domain = await self._existing(id_)
        if not await self._is(domain, libvirt.VIR_DOMAIN_RUNNING):
            raise ConflictError(f"guest {id_} does not run: it is paused")
        return await self._press(partial(domain.reboot, 0))


def _read_guests(connection: Any) -> dict[str, GuestState]:
    """Those of servers, by their notes. Blocks; raises libvirtError."""
    found: dict[str, GuestState] = {}
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        if f"<description>{MARK} {domain.UUIDString()}</description>" in domain.XMLDesc(0):
            found[domain.UUIDString()] = state_of(*domain.state())
    return found


async def open_esx(uri: str, user: str, password: str) -> Any:
    """A connection to `esx://host/` or `vpx://vcenter/datacenter/host/`. Raises RetryableError where nobody answers, or
    not to this user."""
    answers = {libvirt.VIR_CRED_AUTHNAME: user, libvirt.VIR_CRED_PASSPHRASE: password}

    def answer(wanted: list[list[Any]], _: Any) -> int:
        for one in wanted:
            one[4] = answers[one[0]]
        return 0

    start_events()
    try:
        return await trio.to_thread.run_sync(
            libvirt.openAuth, uri, [list(answers), answer, None], 0, abandon_on_cancel=True
        )
    except libvirt.libvirtError as error:
        raise RetryableError(f"no hypervisor at {uri}: {error}") from error


@asynccontextmanager
async def esx_hypervisor(uri: str, user: str, password: str, place: Place) -> AsyncIterator[EsxHypervisor]:
    """As long as the context lasts; guests run on after it."""
    link = Link(uri, partial(open_esx, user=user, password=password), resumes=False)
    async with linked(link):
        yield EsxHypervisor(link, place)
