"""Guests whose disks are volumes: of the real program, and of a server within the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
import trio

from compute_plugin.hypervisors.interface import GuestDisk
from compute_plugin.hypervisors.libvirt.connection import call, events
from compute_plugin.hypervisors.libvirt.disk_xml import disk_xml
from compute_plugin.hypervisors.libvirt.monitor import execute
from compute_plugin.hypervisors.libvirt.nbd_nodes import renew
from compute_plugin.hypervisors.libvirt.resuming import keep_running
from drystone.volumes import serving_volumes
from tests.blocks.conftest import catalogue_of, media, node_of
from tests.guests import writer
from tests.guests.machine import PATIENCE, Guest, System, guest
from tests.guests.served import SmallDisk, serving
from tests.nbd.memory_disk import MemoryExports
from tests.process.disk import Disk
from tests.process.program import Program, running
from tests.simulation.world import SeededRandom, SimClock, quiet

MIB = 1 << 20
PAUSED_BY_ERROR = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)

pytestmark = [pytest.mark.guest, pytest.mark.process, pytest.mark.timeout(600), pytest.mark.xdist_group("guests")]


@pytest.fixture(scope="module")
def program(root: Path) -> Iterator[Program]:
    with running(root / "data", "--devices", "3") as started:
        yield started


def typed(program: Program, *arguments: str) -> None:
    done = program.command("volume", *arguments)
    assert done.returncode == 0, done.stderr


def disk_of(program: Program, volume: str, target: str = "vda", **options: Any) -> GuestDisk:
    return GuestDisk(target, volume, str(program.folder / "nbd.sock"), **options)


@asynccontextmanager
async def resuming(connection: Any) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_running, connection)
        yield
        nursery.cancel_scope.cancel()


async def node_names(domain: Any) -> list[str]:
    return sorted(node["node-name"] for node in await execute(domain, "query-named-block-nodes", flat=True))


async def until_paused(guest: Guest, connection: Any, work: Any) -> None:
    """Until an I/O error has paused the guest, which `work` leads to."""
    async with events(connection, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain=guest.domain) as heard:
        await work()
        with trio.fail_after(PATIENCE):
            while await guest.state() != PAUSED_BY_ERROR:
                await heard.next()


async def test_its_data_are_there_after_a_reset(connection: Any, system: System, root: Path, program: Program) -> None:
    """On a clone of an image."""
    image = root / "image.qcow2"
    qemu = ["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"]
    for command in (qemu, ["qemu-io", "-f", "qcow2", "-c", "write -P 65 63M 4k", str(image)]):
        await trio.run_process(command, capture_stdout=True)
    for words in (["import", str(image), "image"], ["snapshot", "image", "base"], ["clone", "image@base", "system"]):
        typed(program, *words)
    typed(program, "create", "fixed", "--size", "4M")
    with Disk(program.folder, "fixed") as fixed:
        fixed.write(0, b"as it was\n", durable=True)
    disks = [
        disk_of(program, "system", serial="system-1"),
        disk_of(program, "fixed", "vdb", serial="fixed-1", read_only=True),
    ]
    async with guest(connection, system, root, "reset", *map(disk_xml, disks)) as machine:
        for disk in disks:
            await renew(machine.domain, disk.target)
        await call(machine.domain.resume)
        await machine.ready()
        run = machine.console.run
        assert await run("cat /sys/block/vda/serial /sys/block/vda/size") == f"system-1{64 * 2048}"
        assert await run("dd if=/dev/vda bs=4k skip=16128 count=1 2>/dev/null | tr -d A | wc -c") == "0"
        await run("mke2fs -F /dev/vda && mount -t ext4 /dev/vda /mnt")
        summed = await run("dd if=/dev/urandom of=/mnt/file bs=64k count=40 2>/dev/null; sync; sha256sum < /mnt/file")
        await run("echo lost > /mnt/unsynced")
        assert await run("cat /sys/block/vdb/ro; head -n 1 /dev/vdb") == "1\nas it was"
        assert await run("echo x 2>/dev/null > /dev/vdb || echo refused") == "refused"
        await machine.reboot()
        await run("mount -t ext4 /dev/vda /mnt")
        assert await run("sha256sum < /mnt/file") == summed
    with Disk(program.folder, "fixed") as fixed:
        assert fixed.read(0, 10) == b"as it was\n"


async def test_what_is_typed_while_something_ends_is_whole(connection: Any, system: System, root: Path) -> None:
    """It ends within some of these lines, wherever: the shell must not forget what it has read of them then."""
    async with guest(connection, system, root, "typed") as machine:
        await call(machine.domain.resume)
        await machine.ready()
        word = "x" * 1000
        for number in range(60):
            await machine.console.start(f"usleep {1000 * number}")
            assert await machine.console.run(f"echo {word} {number}") == f"{word} {number}"


async def test_a_killed_server_is_waited_for(connection: Any, system: System, root: Path) -> None:
    """The guest notices nothing: it is not even paused."""
    with running(root / "waits", "--devices", "3") as program:
        typed(program, "create", "v", "--size", "64M")
        disk = disk_of(program, "v")
        async with (
            guest(connection, system, root, "waits", disk_xml(disk)) as machine,
            events(connection, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain=machine.domain) as heard,
        ):
            await renew(machine.domain, "vda", 120)
            await call(machine.domain.resume)
            await machine.ready()
            await writer.begin(machine, "vda")
            for _ in range(2):
                await writer.some(machine)
                await trio.to_thread.run_sync(program.kill)
                await trio.to_thread.run_sync(program.start)
                await writer.some(machine)
            last = await writer.end(machine)
            with Disk(program.folder, "v") as client:
                writer.check(client, 1, last)
            assert [event[2] for event in heard.taken()] == [libvirt.VIR_DOMAIN_EVENT_RESUMED]


async def test_a_guest_that_a_killed_server_has_paused_goes_on(connection: Any, system: System, root: Path) -> None:
    """Without the wait, as libvirt makes it; also one that was paused before anybody looked."""
    with running(root / "pauses", "--devices", "3") as program:
        typed(program, "create", "v", "--size", "64M")
        async with guest(connection, system, root, "pauses", disk_xml(disk_of(program, "v"))) as machine:
            await call(machine.domain.resume)
            await machine.ready()
            await writer.begin(machine, "vda")
            await writer.some(machine)

            async def kill() -> None:
                await trio.to_thread.run_sync(program.kill)

            await until_paused(machine, connection, kill)
            async with resuming(connection):
                await trio.to_thread.run_sync(program.start)
                await writer.some(machine)
                await until_paused(machine, connection, kill)
                await trio.to_thread.run_sync(program.start)
                await writer.some(machine)
                last = await writer.end(machine)
            with Disk(program.folder, "v") as client:
                writer.check(client, 1, last)


async def test_no_room_pauses_a_guest_until_there_is_some(connection: Any, system: System, root: Path) -> None:
    small = SmallDisk(16 * MIB)
    socket = root / "small.sock"
    disk = GuestDisk("vda", "small", str(socket))
    async with (
        serving(MemoryExports(small=small), socket),
        guest(connection, system, root, "full", disk_xml(disk)) as machine,
        events(connection, libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, domain=machine.domain) as heard,
    ):
        await renew(machine.domain, "vda")
        await call(machine.domain.resume)
        await machine.ready()
        await writer.begin(machine, "vda")
        await writer.some(machine)

        async def fill() -> None:
            small.full = True

        await until_paused(machine, connection, fill)
        assert (await heard.next())[-1] == "enospc"
        async with resuming(connection):
            refused = small.refused
            with trio.fail_after(PATIENCE):
                while small.refused == refused:  # it was resumed in vain
                    await heard.next()
            small.full = False
            await writer.some(machine)
            last = await writer.end(machine)
    for number in range(1, last + 1):
        assert small.content[number * 4096 :].startswith(f"{writer.LINE}{number}\n".encode())


async def test_a_guest_on_a_clone_of_a_running_ones_disk(connection: Any, system: System, root: Path) -> None:
    """What the first one had synced is there, and nothing of what it wrote later."""
    quiet()
    socket = root / "clones.sock"
    async with (
        node_of(media()) as node,
        serving_volumes(node.store, SimClock(), SeededRandom(node.media.random), "n1") as volumes,
        serving(volumes, socket),
    ):
        await volumes.create("v", 16 * MIB, "")
        async with guest(connection, system, root, "parent", disk_xml(GuestDisk("vda", "v", str(socket)))) as parent:
            await call(parent.domain.resume)
            await parent.ready()
            await parent.console.run("mke2fs -F /dev/vda && mount -t ext4 /dev/vda /mnt")
            await parent.console.run("for i in 1 2 3 4 5 6 7 8; do echo $i > /mnt/$i; done; sync")
            await parent.console.run("while [ ! -e /end ]; do date > /mnt/clock; sync; done & true")
            async with volumes.open_volume("v") as volume:
                await volume.snapshot("s")
            await parent.console.run("rm /mnt/1; echo later > /mnt/later; sync")
            await catalogue_of(node).clone("v", "s", "w")
            async with guest(connection, system, root, "clone", disk_xml(GuestDisk("vda", "w", str(socket)))) as clone:
                await call(clone.domain.resume)
                await clone.ready()
                await clone.console.run("mount -t ext4 /dev/vda /mnt")
                assert await clone.console.run("cd /mnt && cat 1 2 3 4 5 6 7 8 && ls -d later 2>/dev/null; cd /") == (
                    "\n".join("12345678")
                )
                await clone.console.run("echo mine > /mnt/mine; sync")
            await parent.console.run("touch /end; cat /mnt/later; [ ! -e /mnt/mine ]")
