"""A server goes to another size, or to another host while it does not run. Until that is confirmed both hosts keep room
for it, and its own disks are kept as they were."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from compute_plugin.agent.doings.parts import GIB, forget_folder, put_away_left, unbind_ports
from compute_plugin.agent.doings.power import stop_patience
from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import Power
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.server import Server, VmState

SNAPSHOT: Final = "resize-"
"""How the snapshots of disks begin that can be gone back to, before the id of the migration."""


async def resize(hands: Hands, work: Work) -> None:
    """The host that it was on ends the guest; the one that it is to be on begins it."""
    server = work.server
    before = server.before
    assert before is not None
    if not work.arguments.get("left"):
        await work.step("stop")
        await hands.hypervisor.stop(server.id, stop_patience(hands, work))
        await unbind_ports(hands, server)
        if server.host != hands.host:
            await forget_folder(hands, server)
            await work.hand_over(server.host, left=True)
            return
        await work.remember(left=True)
    await work.step("move")
    for at, disk in enumerate(server.disks):
        if disk.destination == "local":
            await hands.disks.take_snapshot(disk.store_name, _snapshot(work))
            if disk.boot_index == 0 and server.flavor.disk:
                await hands.disks.grow(disk.store_name, server.flavor.disk * GIB)
                await work.change(partial(Server.with_disk, at=at, size=server.flavor.disk))
    if before.state is VmState.ACTIVE:
        await work.step("start")
        await run_guest(hands, work)
    migration = str(work.arguments.get("migration", ""))
    await work.end(also=lambda records, _: migration_is(records, migration, "finished", hands.clock.wall_us()))


async def confirm(hands: Hands, work: Work) -> None:
    """The old host has no more to do with it."""
    await work.step("confirm")
    server = work.server
    await drop_snapshots(hands, work)
    migration = str(work.arguments.get("migration", ""))
    state = VmState.STOPPED if server.before is not None and not await _runs(hands, server) else VmState.ACTIVE
    await work.end(
        state,
        lambda server: replace(server, before=None),
        lambda records, _: migration_is(records, migration, "confirmed", hands.clock.wall_us()),
    )


async def _runs(hands: Hands, server: Server) -> bool:
    state = (await hands.hypervisor.guests()).get(server.id)
    return state is not None and state.power not in (Power.SHUTDOWN, Power.CRASHED)


async def revert(hands: Hands, work: Work) -> None:
    """The new host ends the guest; the old one begins it, with its own disks as they were."""
    before = work.server.before
    if before is not None and not work.arguments.get("left"):
        await work.step("end")
        await hands.hypervisor.stop(work.server.id, 0)
        await unbind_ports(hands, work.server)
        if before.host != work.server.host:
            await forget_folder(hands, work.server)
        await work.hand_over(
            before.host,
            lambda server: replace(server, host=before.host, flavor=before.flavor, before=None),
            left=True,
            runs=before.state is VmState.ACTIVE,
        )
        if before.host != hands.host:
            return
    await work.step("move")
    await _take_back(hands, work)
    runs = bool(work.arguments.get("runs"))
    if runs:
        await work.step("start")
        await run_guest(hands, work)
    migration = str(work.arguments.get("migration", ""))
    await work.end(
        VmState.ACTIVE if runs else VmState.STOPPED,
        also=lambda records, _: migration_is(records, migration, "reverted", hands.clock.wall_us()),
    )


async def _take_back(hands: Hands, work: Work) -> None:
    """Each disk of its own is a clone of what it was, under the next name."""
    for at, disk in enumerate(work.server.disks):
        if disk.destination != "local":
            continue
        base = disk.store_name.partition("_")[0]
        new = f"{base}_{work.transition.id[:8]}"
        if disk.store_name != new:
            await hands.disks.of_snapshot(disk.store_name, _snapshot(work), new)
            size = work.server.flavor.disk if disk.boot_index == 0 else disk.size
            await work.change(partial(Server.with_disk, at=at, store_name=new, size=size))
    await put_away_left(hands, work.server)


async def drop_snapshots(hands: Hands, work: Work) -> None:
    """It cannot be gone back any more."""
    for disk in work.server.disks:
        if disk.store_name:
            await hands.disks.drop_snapshots(disk.store_name, SNAPSHOT)


def _snapshot(work: Work) -> str:
    return f"{SNAPSHOT}{work.arguments.get('migration') or work.transition.id}"
