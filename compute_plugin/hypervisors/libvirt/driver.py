"""What all drivers over libvirt do alike. Guests are transient domains: one that ends is gone, and nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final

import libvirt
import structlog
import trio

from compute_plugin.hypervisors.console_log import read_console_log
from compute_plugin.hypervisors.interface import (
    Can,
    Changes,
    Guest,
    GuestDisk,
    GuestNic,
    GuestState,
    HypervisorError,
    Inventory,
    UnsupportedError,
    Usage,
)
from compute_plugin.hypervisors.libvirt import marks
from compute_plugin.hypervisors.libvirt.changes import following
from compute_plugin.hypervisors.libvirt.connection import call, events
from compute_plugin.hypervisors.libvirt.disks import attach, detach, grow
from compute_plugin.hypervisors.libvirt.domain_disks import volume_disks
from compute_plugin.hypervisors.libvirt.inventory import read_inventory
from compute_plugin.hypervisors.libvirt.letting_go import find_device, live_flags, take_away
from compute_plugin.hypervisors.libvirt.link import Link
from compute_plugin.hypervisors.libvirt.marks import ToDo
from compute_plugin.hypervisors.libvirt.nbd_nodes import check_server, renew
from compute_plugin.hypervisors.libvirt.nic_xml import nic_xml
from compute_plugin.hypervisors.libvirt.states import read_states
from compute_plugin.hypervisors.libvirt.usage import read_usage
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

log = structlog.get_logger()

PRESS_SECONDS: Final = 5.0
"""A guest is asked to end so often: one that boots misses it."""


class LibvirtHypervisor:
    """A `Hypervisor` over libvirt. Kinds say what their domains are, and what they can do."""

    kind = "QEMU"
    can: frozenset[Can] = frozenset()
    create_flags: int = libvirt.VIR_DOMAIN_START_PAUSED

    def __init__(self, link: Link) -> None:
        self._link = link
        self._servers: dict[tuple[str, int], bool] = {}
        """Whether a domain is a server's, by its UUID and number of now."""
        self._inventory: tuple[Any, Inventory] | None = None
        """As of a connection."""

    # What kinds differ in.

    async def xml(self, guest: Guest) -> str:
        """Of the domain. Raises InvalidError."""
        raise NotImplementedError

    async def moved(self, xml: str, guest: Guest, to_do: ToDo) -> str:
        """The XML of a guest that goes on, by what libvirt has of it. Raises ConflictError, InvalidError."""
        raise UnsupportedError(f"{self.kind} has no guests that go on elsewhere")

    async def prepare(self, guest: Guest) -> None:
        """What has to be there before the domain is made."""
        for disk in guest.disks:
            if disk.export:
                await check_server(disk.socket)

    async def connect_disks(self, domain: Any) -> None:
        """Have the disks of a guest outlive a restart of their server."""
        for disk in await volume_disks(domain):
            await renew(domain, disk.target)

    async def release(self, id_: str) -> None:
        """What `prepare` made, of a guest that is gone. Also of one that never was."""

    # The contract.

    async def inventory(self) -> Inventory:
        connection = await self._link.connection()
        if self._inventory is None or self._inventory[0] is not connection:
            # Once a connection: libvirt may ask each QEMU there is what it can, and take seconds for it.
            found = await trio.to_thread.run_sync(read_inventory, connection, self.kind, self.can)
            self._inventory = connection, found
        return self._inventory[1]

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        return following(self._link)

    async def guests(self) -> Mapping[str, GuestState]:
        return await call(read_states, await self._link.connection(), self._servers)

    async def start(self, guest: Guest, *, saved: str = "") -> None:
        connection = await self._link.connection()
        domain = await self._find(guest.id)
        if domain is not None:
            await self._finish(domain)
            return
        await self.prepare(guest)
        try:
            domain = await self._create(connection, guest, saved)
            await self._finish(domain)
        except DrystoneError:
            with trio.CancelScope(shield=True):
                await self._undo(guest.id)
            raise

    async def _create(self, connection: Any, guest: Guest, saved: str) -> Any:
        if not saved:
            return await call(connection.createXML, await self.xml(guest), self.create_flags)
        self._able(Can.SUSPEND)
        try:
            old = await call(connection.saveImageGetXMLDesc, saved, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
        except RetryableError:
            raise
        except DrystoneError as error:
            raise InvalidError(f"{saved} is not what a guest was saved to: {error}") from error
        if f"<uuid>{guest.id}</uuid>" not in old:
            raise InvalidError(f"{saved} is of another guest")
        xml = await self.moved(old, guest, ToDo.START)
        await call(connection.restoreFlags, saved, xml, libvirt.VIR_DOMAIN_SAVE_PAUSED)
        return await self._existing(guest.id)

    async def _finish(self, domain: Any) -> None:
        """What is still to be done of a start; of one that somebody else began, too."""
        to_do = await marks.to_do(domain)
        if to_do is ToDo.NOTHING:
            return
        await self.connect_disks(domain)
        if to_do is ToDo.START and await self._is(domain, libvirt.VIR_DOMAIN_PAUSED):
            await call(domain.resume)
        await marks.done(domain)

    async def _undo(self, id_: str) -> None:
        try:
            await self.stop(id_, 0)
        except DrystoneError as error:
            log.warning("a guest that did not start is left as it is", guest=id_, why=str(error))

    async def stop(self, id_: str, patience_s: float) -> None:
        domain = await self._find(id_)
        if domain is not None:
            try:
                if patience_s <= 0 or not await self._ended(domain, patience_s):
                    await call(domain.destroy)
            except (NotFoundError, ConflictError):  # it has ended by itself meanwhile
                if await self._find(id_) is not None:
                    raise
        await self.release(id_)

    async def _ended(self, domain: Any, patience_s: float) -> bool:
        """Whether its system did what it was asked for. One that is paused hears nothing."""
        if not await self._is(domain, libvirt.VIR_DOMAIN_RUNNING):
            return False
        async with events(await self._link.connection(), libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain=domain) as heard:
            with trio.move_on_after(patience_s):
                while True:
                    if not await self.ask_to_end(domain):
                        return False
                    with trio.move_on_after(PRESS_SECONDS):
                        while (await heard.next())[2] != libvirt.VIR_DOMAIN_EVENT_STOPPED:
                            pass
                        return True
        return False

    async def ask_to_end(self, domain: Any) -> bool:
        """Whether there is a way to ask the system of a guest."""
        return await self._press(domain.shutdown)

    async def reboot(self, id_: str, patience_s: float) -> bool:
        domain = await self._existing(id_)
        if not await self._is(domain, libvirt.VIR_DOMAIN_RUNNING):
            raise ConflictError(f"guest {id_} does not run: it is paused")
        async with events(await self._link.connection(), libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, domain=domain) as heard:
            with trio.move_on_after(patience_s):
                while await self._press(partial(domain.reboot, 0)):
                    with trio.move_on_after(PRESS_SECONDS):
                        await heard.next()
                        return True
        return False

    async def _press(self, button: Any) -> bool:
        """Whether the hypervisor has such a button."""
        try:
            await call(button)
        except (HypervisorError, InvalidError) as error:
            log.info("a guest cannot be asked", why=str(error))
            return False
        return True

    async def pause(self, id_: str) -> None:
        self._able(Can.PAUSE)
        domain = await self._existing(id_)
        if not await self._is(domain, libvirt.VIR_DOMAIN_PAUSED):
            await call(domain.suspend)

    async def unpause(self, id_: str) -> None:
        self._able(Can.PAUSE)
        domain = await self._existing(id_)
        if await self._is(domain, libvirt.VIR_DOMAIN_PAUSED):
            await call(domain.resume)

    async def save(self, id_: str, path: str) -> None:
        self._able(Can.SUSPEND)
        connection = await self._link.connection()
        domain = await self._find(id_)
        if domain is None:
            if not await self._is_saved(connection, id_, path):
                raise NotFoundError(f"guest {id_} does not run here")
            return
        await call(domain.save, path)
        await self.release(id_)

    async def _is_saved(self, connection: Any, id_: str, path: str) -> bool:
        """Whether that was done before. libvirt marks a file that is not whole, and refuses it."""
        if not await trio.to_thread.run_sync(Path(path).exists):
            return False
        try:
            return f"<uuid>{id_}</uuid>" in await call(connection.saveImageGetXMLDesc, path, 0)
        except RetryableError:
            raise
        except DrystoneError:
            return False

    async def attach_disk(self, id_: str, disk: GuestDisk) -> None:
        self._able(Can.ATTACH_DISKS)
        connection, domain = await self._link.connection(), await self._existing(id_)
        has = await find_device(domain, f"disk/target[@dev='{disk.target}']/..")
        if has is None:
            await attach(connection, domain, disk)
        elif not disk.export:
            return
        elif disk.export not in {has.volume for has in await volume_disks(domain) if has.target == disk.target}:
            raise ConflictError(f"guest {id_} has another disk at {disk.target}")
        else:
            await renew(domain, disk.target)  # whoever attached it may have come no further

    async def detach_disk(self, id_: str, target: str) -> None:
        self._able(Can.ATTACH_DISKS)
        domain = await self._existing(id_)
        try:
            await detach(await self._link.connection(), domain, target)
        except NotFoundError:
            await self._existing(id_)

    async def grow_disk(self, id_: str, target: str, size: int) -> None:
        await grow(await self._existing(id_), target, size)

    async def attach_nic(self, id_: str, nic: GuestNic) -> None:
        self._able(Can.ATTACH_NICS)
        domain, xml = await self._existing(id_), nic_xml(nic)
        if await self._nic(domain, nic.mac) is None:
            await call(domain.attachDeviceFlags, xml, await live_flags(domain))

    async def detach_nic(self, id_: str, mac: str) -> None:
        self._able(Can.ATTACH_NICS)
        domain = await self._existing(id_)
        device = await self._nic(domain, mac)
        if device is not None:
            await take_away(await self._link.connection(), domain, device, mac)

    async def _nic(self, domain: Any, mac: str) -> Any:
        return await find_device(domain, f"interface/mac[@address='{mac}']/..")

    async def set_password(self, id_: str, user: str, password: str) -> None:
        self._able(Can.PASSWORD)
        domain = await self._existing(id_)
        if await find_device(domain, "channel/target[@name='org.qemu.guest_agent.0']/..") is None:
            raise ConflictError(f"guest {id_} has no agent: its image is to have hw_qemu_guest_agent=yes")
        await call(domain.setUserPassword, user, password, 0)

    async def interrupt(self, id_: str) -> None:
        self._able(Can.NMI)
        await call((await self._existing(id_)).injectNMI, 0)

    async def usage(self, id_: str) -> Usage:
        domain = await self._existing(id_)
        uptime = await marks.uptime(domain)
        return await call(read_usage, await self._link.connection(), domain, uptime)

    async def console_log(self, guest_folder: str) -> bytes:
        return await trio.to_thread.run_sync(read_console_log, guest_folder)

    async def migrate(self, guest: Guest, peer: str, address: str) -> None:
        self._able(Can.LIVE_MIGRATION)
        domain = await self._existing(guest.id)
        xml = await call(domain.XMLDesc, libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
        wanted = {
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: await self.moved(xml, guest, ToDo.RENEW),
            # Else it goes by the host name of the other, which may resolve to anything here, or to nothing.
            libvirt.VIR_MIGRATE_PARAM_URI: f"tcp:[{address}]" if ":" in address else f"tcp:{address}",
        }
        await call(domain.migrateToURI3, peer, wanted, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER)
        await self.release(guest.id)

    async def _find(self, id_: str) -> Any | None:
        try:
            return await self._existing(id_)
        except NotFoundError:
            return None

    async def _existing(self, id_: str) -> Any:
        """Raises NotFoundError where it does not run."""
        connection = await self._link.connection()
        try:
            return await call(connection.lookupByUUIDString, id_)
        except NotFoundError as error:
            raise NotFoundError(f"guest {id_} does not run here") from error

    async def _is(self, domain: Any, state: int) -> bool:
        now: int = (await call(domain.state))[0]
        return now == state

    def _able(self, what: Can) -> None:
        if what not in self.can:
            raise UnsupportedError(f"{self.kind} cannot do that: {what}")
