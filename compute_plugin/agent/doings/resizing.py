"""A server goes to another size, or to another host while it does not run. Until that is confirmed both hosts keep room
for it, and its own disks are kept as they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compute_plugin.agent.doings.ending import forget_folder
from compute_plugin.agent.doings.parts import GIB, unbind_ports
from compute_plugin.agent.doings.power import stop_patience
from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import Power
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.server import Server, VmState

SNAPSHOT: Final = "before-resize"


async def resize(hands: Hands, work: Work) -> None:
    """The host that it was on ends the guest; the one that it is to be on begins it."""
    server = work.server
    before = server.before
    assert before is not None
    if not work.arguments.get("left"):
        await work.step("stop")
        await hands.hypervisor.stop(server.id, stop_patience(hands, work))
        await unbind_ports(hands, server)
        if before.host != server.host:
            await forget_folder(hands, server)
        await work.remember(left=True)
        if server.host != hands.host:
            await work.hand_over(server.host)
            return
    await work.step("move")
    for disk in server.disks:
        if disk.destination == "local":
            await hands.disks.take_snapshot(disk.store_name, SNAPSHOT)
            if disk.boot_index == 0 and server.flavor.disk:
                await hands.disks.grow(disk.store_name, server.flavor.disk * GIB)
    if before.state is VmState.ACTIVE:
        await work.step("start")
        await run_guest(hands, work)
    migration = str(work.arguments.get("migration", ""))
    await work.end(also=lambda records, _: migration_is(records, migration, "finished", hands.clock.wall_us()))


async def confirm(hands: Hands, work: Work) -> None:
    """The old host has no more to do with it."""
    await work.step("confirm")
    server = work.server
    for disk in server.disks:
        if disk.destination == "local":
            await hands.disks.drop_snapshot(disk.store_name, SNAPSHOT)
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
        await work.remember(left=True, runs=before.state is VmState.ACTIVE)
        await work.hand_over(
            before.host, lambda server: replace(server, host=before.host, flavor=before.flavor, before=None)
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
            await hands.disks.of_snapshot(disk.store_name, SNAPSHOT, new)
            await work.change(lambda server, at=at, new=new: server.with_disk(at, store_name=new))  # type: ignore[misc]
            await hands.disks.delete(disk.store_name)
