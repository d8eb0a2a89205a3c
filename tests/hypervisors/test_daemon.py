"""A daemon that vanishes, hangs and returns while guests run, and guests that move from one to another."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from compute_plugin.hypervisors.interface import Changes, Guest, GuestNic, GuestState, HypervisorError, Power
from compute_plugin.hypervisors.kvm.domain_xml import Host
from compute_plugin.hypervisors.kvm.driver import QemuHypervisor
from compute_plugin.hypervisors.libvirt import link
from compute_plugin.hypervisors.libvirt.connection import call, connected
from compute_plugin.hypervisors.libvirt.link import Link, linked
from store.core.errors import RetryableError
from tests.hypervisors.conftest import image
from tests.hypervisors.daemons import Daemon, daemon
from tests.hypervisors.worlds import PATIENCE, LibvirtWorld, libvirt_world

pytestmark = [
    pytest.mark.guest,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("guests"),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("libvirtd") is None, reason="takes root and libvirtd"),
]
LOOPBACK = "127.0.0.1"
RUNNING = GuestState(Power.RUNNING)


@asynccontextmanager
async def hypervisor_of(daemon: Daemon) -> AsyncIterator[QemuHypervisor]:
    async with linked(Link(daemon.uri)) as to:
        yield QemuHypervisor(to, Host(owner="+0:+0"))


@asynccontextmanager
async def world_of(root: Path, daemon: Daemon) -> AsyncIterator[LibvirtWorld]:
    async with hypervisor_of(daemon) as hypervisor, libvirt_world(root, image(), hypervisor) as world:
        yield world


async def forever(changes: Changes) -> None:
    while True:
        await changes.next()


async def test_a_killed_one_is_told_and_comes_back(root: Path) -> None:
    with daemon(root / uuid4().hex[:6]) as libvirtd:
        await libvirtd.until_up()
        async with world_of(root, libvirtd) as world:
            hypervisor, guest = world.hypervisor, world.guest("stays")
            await hypervisor.start(guest)
            async with hypervisor.changes() as changes:
                libvirtd.kill()
                with trio.fail_after(PATIENCE), pytest.raises(RetryableError):
                    await forever(changes)
            for ask in (hypervisor.guests, hypervisor.inventory, lambda: hypervisor.pause(guest.id)):
                with pytest.raises(RetryableError, match="no hypervisor at"):
                    await ask()
            with pytest.raises(RetryableError, match="no hypervisor at"):
                async with hypervisor.changes():
                    pass
            await world.says(guest, "guest is ready")  # it knows nothing of all this
            libvirtd.start()
            await libvirtd.until_up()
            assert await hypervisor.guests() == {guest.id: RUNNING}
            await hypervisor.pause(guest.id)  # done when the new daemon has the guest: of one that ends before that
            await hypervisor.unpause(guest.id)  # it tells nobody
            async with hypervisor.changes() as changes:
                await world.kill(guest)
                with trio.fail_after(PATIENCE):
                    while await hypervisor.guests() != {}:
                        assert await changes.next() == guest.id


async def test_one_that_hangs_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PING_SECONDS", 0.2)
    monkeypatch.setattr(link, "PING_PATIENCE", 1)
    monkeypatch.setattr(link, "OPEN_SECONDS", 1)
    with daemon(root / uuid4().hex[:6]) as libvirtd:
        await libvirtd.until_up()
        async with hypervisor_of(libvirtd) as hypervisor:
            assert await hypervisor.guests() == {}
            libvirtd.kill(signal.SIGSTOP)
            for _ in range(2):
                with trio.fail_after(PATIENCE), pytest.raises(RetryableError, match="does not answer"):
                    await hypervisor.guests()
            libvirtd.kill(signal.SIGCONT)
            with trio.fail_after(PATIENCE):
                while True:
                    with suppress(RetryableError):
                        assert await hypervisor.guests() == {}
                        break


async def test_domains_of_others_are_none_of_its_guests(root: Path) -> None:
    with daemon(root / uuid4().hex[:6]) as libvirtd:
        await libvirtd.until_up()
        async with world_of(root, libvirtd) as world, connected(libvirtd.uri) as connection:
            other = (
                "<domain type='qemu'><name>other</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>"
            )
            domain = await call(connection.createXML, other, 0)
            try:
                assert await world.hypervisor.guests() == {}
            finally:
                await call(domain.destroy)


async def test_moved_while_it_runs(root: Path) -> None:
    """There and back. And its node swap is redone at the other host; where the other host refuses, it runs on."""
    with daemon(root / uuid4().hex[:6]) as one, daemon(root / uuid4().hex[:6]) as two:
        await one.until_up()
        await two.until_up()
        async with world_of(root, one) as world, hypervisor_of(two) as other:
            here, guest = world.hypervisor, world.guest("moves")
            await here.start(guest)
            await world.says(guest, "guest is ready")
            nic = GuestNic(f"tt{guest.id[:8]}5", "fa:16:3e:99:00:05")
            await here.attach_nic(guest.id, nic)
            there = moved(replace(guest, nics=(nic,)))
            with pytest.raises(RetryableError):
                await here.migrate(there, f"{two.uri}-none", LOOPBACK)
            with pytest.raises(HypervisorError):
                await here.migrate(replace(there, folder=f"{there.folder}/none"), two.uri, LOOPBACK)
            assert (await here.guests(), await other.guests()) == ({guest.id: RUNNING}, {})
            async with here.changes() as left, other.changes() as arrived:
                await here.migrate(there, two.uri, LOOPBACK)
                assert (await left.next(), await arrived.next()) == (guest.id, guest.id)
            assert (await here.guests(), await other.guests()) == ({}, {guest.id: RUNNING})
            for _ in range(2):
                await other.start(there)
            assert await greeting(f"{there.folder}/vnc.sock") == b"RFB 003.008\n"
            await other.migrate(guest := replace(guest, nics=(nic,)), one.uri, LOOPBACK)
            await here.start(guest)
            assert await greeting(f"{guest.folder}/vnc.sock") == b"RFB 003.008\n"
            await here.migrate(there, two.uri, LOOPBACK)
            await other.start(there)
            disk = world.disk("vdb", 1 << 20)
            await other.attach_disk(guest.id, disk)
            await world.says(there, "vdb:")
            await other.stop(guest.id, PATIENCE)
            assert await other.guests() == {}


async def greeting(path: str) -> bytes:
    """What a screen says to whoever connects (RFC 6143, 7.1.1)."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_unix_socket(path) as screen:
            return bytes(await screen.receive_some(12))


def moved(guest: Guest) -> Guest:
    """As the other host has it."""
    folder = Path(guest.folder) / "there"
    folder.mkdir()
    return replace(guest, folder=str(folder), nics=tuple(replace(nic, tap=f"{nic.tap}m") for nic in guest.nics))
