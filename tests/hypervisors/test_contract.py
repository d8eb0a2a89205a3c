"""The contract of hypervisors (`interface.py`), kept by the twin and by libvirt with guests that boot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from compute_plugin.hypervisors.interface import Changes, Guest, GuestDisk, GuestNic, GuestState, Hypervisor, Power
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError
from tests.hypervisors.worlds import MIB, PATIENCE, World

RUNNING = GuestState(Power.RUNNING)
PAUSED = GuestState(Power.PAUSED)
AWAY = "6e1b0f6e-0000-4000-8000-000000000001"


async def told(changes: Changes, guest: Guest, hypervisor: Hypervisor, state: GuestState | None) -> None:
    """Until a change of this guest is told after which it is in this state; None: gone."""
    with trio.fail_after(PATIENCE):
        while await changes.next() != guest.id or (await hypervisor.guests()).get(guest.id) != state:
            pass


async def test_started_and_stopped(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("whole")
    async with hypervisor.changes() as changes:
        await hypervisor.start(guest)
        await told(changes, guest, hypervisor, RUNNING)
        await hypervisor.start(guest)
        await world.says(guest, "guest is ready")
        assert await hypervisor.console_log(guest.folder)
        usage = await hypervisor.usage(guest.id)
        assert (usage.memory_mib, len(usage.cpu_ns)) == (guest.memory_mib, guest.vcpus)
        assert set(usage.disks) == {"vda"}
        assert set(usage.nics) == set()
        assert 0 <= usage.memory_used_mib <= usage.memory_mib
        assert usage.uptime_s >= 0
        await hypervisor.stop(guest.id, PATIENCE)
        await told(changes, guest, hypervisor, None)
        assert await hypervisor.console_log(guest.folder)  # what it said outlives it
        assert await hypervisor.console_log(f"{guest.folder}/none") == b""
        await hypervisor.stop(guest.id, PATIENCE)
        await hypervisor.start(guest)  # it has its disk still
        await world.says(guest, r"boots=2")


async def test_rebooted_and_paused(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("again")
    async with hypervisor.changes() as changes:
        await hypervisor.start(guest)
        await world.says(guest, "guest is ready")
        assert await hypervisor.reboot(guest.id, PATIENCE)
        await world.says(guest, "boots=2")
        for _ in range(2):
            await hypervisor.pause(guest.id)
            assert await hypervisor.guests() == {guest.id: PAUSED}
        await told(changes, guest, hypervisor, PAUSED)
        with pytest.raises(ConflictError, match="paused"):
            await hypervisor.reboot(guest.id, PATIENCE)
        await hypervisor.start(guest)  # it runs already, and somebody has paused it
        assert await hypervisor.guests() == {guest.id: PAUSED}
        for _ in range(2):
            await hypervisor.unpause(guest.id)
            assert await hypervisor.guests() == {guest.id: RUNNING}
        await told(changes, guest, hypervisor, RUNNING)
        await hypervisor.interrupt(guest.id)
        with pytest.raises(ConflictError, match="no agent"):
            await hypervisor.set_password(guest.id, "root", "secret")
        await hypervisor.pause(guest.id)
        await hypervisor.stop(guest.id, PATIENCE)  # it hears nothing, and is ended at once
        assert await hypervisor.guests() == {}


async def test_disks_and_cards_come_and_go(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("hot")
    await hypervisor.start(guest)
    await world.says(guest, "guest is ready")
    disk, nic = world.disk("vdb", 4 * MIB), GuestNic(f"tt{guest.id[:8]}9", "fa:16:3e:99:00:09")
    for _ in range(2):
        await hypervisor.attach_disk(guest.id, disk)
        await hypervisor.attach_nic(guest.id, nic)
    await world.says(guest, rf"disks=vda:\d+:[^,]*,vdb:{4 * MIB}:{disk.serial[:20]}")
    with pytest.raises(ConflictError, match="another disk at vdb"):
        await hypervisor.attach_disk(guest.id, replace(disk, export="another"))
    usage = await hypervisor.usage(guest.id)
    assert (set(usage.disks), set(usage.nics)) == ({"vda", "vdb"}, {nic.mac})
    world.resize(disk, 6 * MIB)
    for _ in range(2):
        await hypervisor.grow_disk(guest.id, "vdb", 6 * MIB)
    await world.says(guest, f"vdb:{6 * MIB}:")
    with pytest.raises(NotFoundError, match="vdc"):
        await hypervisor.grow_disk(guest.id, "vdc", 6 * MIB)
    for _ in range(2):
        await hypervisor.detach_disk(guest.id, "vdb")
        await hypervisor.detach_nic(guest.id, nic.mac)
    usage = await hypervisor.usage(guest.id)
    assert (set(usage.disks), set(usage.nics)) == ({"vda"}, set())


async def test_saved_and_going_on(world: World, tmp_path: Path) -> None:
    hypervisor, guest = world.hypervisor, world.guest("saved")
    path = tmp_path / "memory"
    await hypervisor.start(guest)
    await world.says(guest, "guest is ready")
    disk = world.disk("vdb", 4 * MIB)
    nic = GuestNic(f"tt{guest.id[:8]}6", "fa:16:3e:99:00:06")
    await hypervisor.attach_disk(guest.id, disk)
    await hypervisor.attach_nic(guest.id, nic)
    await world.says(guest, "vdb:")
    async with hypervisor.changes() as changes:
        for _ in range(2):
            await hypervisor.save(guest.id, str(path))
            assert await hypervisor.guests() == {}
        await told(changes, guest, hypervisor, None)
        with pytest.raises(InvalidError):
            await hypervisor.start(replace(guest, id=AWAY), saved=str(path))
        with pytest.raises(InvalidError):
            await hypervisor.start(guest, saved=str(tmp_path / "none"))
        (tmp_path / "other").write_bytes(b"x" * 100000)
        with pytest.raises(InvalidError):
            await hypervisor.start(guest, saved=str(tmp_path / "other"))
        assert await hypervisor.guests() == {}
        with pytest.raises(ConflictError):
            await hypervisor.start(guest, saved=str(path))
        # Its taps may be others by now, and a device that was attached is where it was.
        again = replace(guest, disks=(*guest.disks, disk), nics=(replace(nic, tap=f"tt{guest.id[:8]}7"),))
        for _ in range(2):
            await hypervisor.start(again, saved=str(path))
            assert await hypervisor.guests() == {guest.id: RUNNING}
        await told(changes, guest, hypervisor, RUNNING)
    assert path.exists()
    await hypervisor.detach_disk(guest.id, "vdb")
    await world.says(guest, r"disks=vda:[^,]*(?![^\s])")


async def test_one_that_dies_by_itself_is_told(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("dies", boots=False, taps=2)
    async with hypervisor.changes() as changes:
        await hypervisor.start(guest)
        await told(changes, guest, hypervisor, RUNNING)
        assert set((await hypervisor.usage(guest.id)).nics) == {nic.mac for nic in guest.nics}
        await world.kill(guest)
        await told(changes, guest, hypervisor, None)
    await hypervisor.start(guest)
    assert await hypervisor.guests() == {guest.id: RUNNING}


async def test_one_that_answers_nothing_is_ended(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("deaf", boots=False)
    await hypervisor.start(guest)
    await world.says(guest, "")
    assert not await hypervisor.reboot(guest.id, 0.1)
    assert await hypervisor.guests() == {guest.id: RUNNING}
    await hypervisor.stop(guest.id, 0.1)
    assert await hypervisor.guests() == {}


CALLS: dict[str, Callable[[Hypervisor], Awaitable[object]]] = {
    "reboot": lambda hypervisor: hypervisor.reboot(AWAY, 1),
    "pause": lambda hypervisor: hypervisor.pause(AWAY),
    "unpause": lambda hypervisor: hypervisor.unpause(AWAY),
    "save": lambda hypervisor: hypervisor.save(AWAY, "/nonexistent/memory"),
    "attach_disk": lambda hypervisor: hypervisor.attach_disk(AWAY, GuestDisk("vdb", "v", "/s")),
    "detach_disk": lambda hypervisor: hypervisor.detach_disk(AWAY, "vdb"),
    "grow_disk": lambda hypervisor: hypervisor.grow_disk(AWAY, "vdb", MIB),
    "attach_nic": lambda hypervisor: hypervisor.attach_nic(AWAY, GuestNic("t", "fa:16:3e:00:00:01")),
    "detach_nic": lambda hypervisor: hypervisor.detach_nic(AWAY, "fa:16:3e:00:00:01"),
    "set_password": lambda hypervisor: hypervisor.set_password(AWAY, "root", "secret"),
    "interrupt": lambda hypervisor: hypervisor.interrupt(AWAY),
    "usage": lambda hypervisor: hypervisor.usage(AWAY),
}


async def test_of_one_that_does_not_run_nothing_can_be_had(world: World) -> None:
    for ask in CALLS.values():
        with pytest.raises(NotFoundError, match="does not run"):
            await ask(world.hypervisor)
    await world.hypervisor.stop(AWAY, 1)


async def test_what_cannot_be_made_is_refused_and_leaves_nothing(world: World) -> None:
    hypervisor, guest = world.hypervisor, world.guest("wrong", boots=False)
    for wrong in ({"name": "a/b"}, {"name": ""}, {"id": "1"}, {"id": AWAY.upper()}):
        with pytest.raises(InvalidError):
            await hypervisor.start(replace(guest, **wrong))  # type: ignore[arg-type]
    assert await hypervisor.guests() == {}


async def test_what_the_host_has(world: World) -> None:
    has = await world.hypervisor.inventory()
    assert has.vcpus >= 1
    assert has.memory_mib >= 256
    assert has.version >= 1000000
    assert has.cpu["arch"] == "x86_64"
    assert has.can == world.hypervisor.can


async def test_the_twin_does_what_tests_tell_it(tmp_path: Path) -> None:
    from tests.hypervisors.worlds import MemoryWorld

    world = MemoryWorld(tmp_path)
    hypervisor, guest = world.hypervisor, world.guest("twin")
    hypervisor.fail("start", RetryableError("busy"))
    hypervisor.fail("start", RetryableError("answer lost"), after=True)
    with pytest.raises(RetryableError, match="busy"):
        await hypervisor.start(guest)
    assert await hypervisor.guests() == {}
    with pytest.raises(RetryableError, match="answer lost"):
        await hypervisor.start(guest)
    async with hypervisor.changes() as changes:
        hypervisor.wait(guest.id)
        assert await changes.next() == guest.id
        assert await hypervisor.guests() == {guest.id: GuestState(Power.PAUSED, waits=True)}
        hypervisor.go()
        with pytest.raises(RetryableError):
            await changes.next()
    for ask in (
        hypervisor.guests,
        hypervisor.inventory,
        lambda: hypervisor.start(guest),
        hypervisor.changes().__aenter__,
    ):
        with pytest.raises(RetryableError):
            await ask()
    hypervisor.come_back()
    assert set(await hypervisor.guests()) == {guest.id}
    assert hypervisor.calls["start"] == 3
