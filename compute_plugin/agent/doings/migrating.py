"""A server goes to another host while it runs.

The target makes a place, the source's hypervisor moves the guest, the target takes it in. Where the guest runs decides
how it goes on, whatever failed meanwhile: it runs at one of the two.
"""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.agent.doings.parts import forget_folder
from compute_plugin.agent.doings.running import bound_ports, complete_disks, connect_disks, plugged_ports, prepared
from compute_plugin.agent.guest_plan import guest_of
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.lifecycle.migrations import migration_is
from store.core.errors import ConflictError, DrystoneError


async def live_migrate(hands: Hands, work: Work) -> None:
    """Each host does its part, and hands the rest over."""
    target = str(work.arguments["target"])
    if hands.host != target:
        if "place" not in work.arguments:
            await work.hand_over(target)
        else:
            await _send(hands, work, target)
    elif "place" not in work.arguments:
        await work.hand_over(work.server.host, place=await _make_place(hands, work))
    else:
        await _arrive(hands, work)


async def _make_place(hands: Hands, work: Work) -> dict[str, str]:
    """What the guest needs on this host is there before it comes; where."""
    await work.step("prepare")
    ports = await plugged_ports(hands, work.server)
    guest = await prepared(hands, work.server, ports)
    drive = next((disk.file for disk in guest.disks if disk.file), "")
    return {
        "folder": guest.folder,
        "socket": hands.socket,
        "drive": drive,
        "kernel": guest.kernel,
        "ramdisk": guest.ramdisk,
    }


async def _send(hands: Hands, work: Work, target: str) -> None:
    """The guest goes, or stays here."""
    await work.step("migrate")
    server, place = work.server, work.arguments["place"]
    if server.id in await hands.hypervisor.guests():
        state = hands.states().hosts.get(target)
        if state is None or not state.migration_uri:
            await _stays(hands, work, f"host {target} cannot be reached by other hypervisors")
            return
        await _tell(hands, work, "running")
        guest = guest_of(
            server,
            await plugged_ports(hands, server),
            folder=place["folder"],
            socket=place["socket"],
            config_drive=place["drive"],
            kernel=place["kernel"],
            ramdisk=place["ramdisk"],
        )
        try:
            await hands.hypervisor.migrate(guest, state.migration_uri, state.address)
        except DrystoneError as error:
            if server.id in await hands.hypervisor.guests():
                await _stays(hands, work, str(error))
                return
    await forget_folder(hands, server)
    await work.hand_over(target, lambda server: replace(server, host=target, before=None))


async def _stays(hands: Hands, work: Work, why: str) -> None:
    migration, now = str(work.arguments["migration"]), hands.clock.wall_us()
    await work.change(lambda server: replace(server, before=None))
    await work.fail(
        f"Live migration failed: {why}", also=lambda records, _: migration_is(records, migration, "error", now)
    )


async def _arrive(hands: Hands, work: Work) -> None:
    """Its ports are plugged in here, its volumes are used here, and outlive a restart of their server again."""
    await work.step("arrive")
    server = work.server
    if server.id not in await hands.hypervisor.guests():
        raise ConflictError(f"the guest of server {server.id} has not arrived")
    ports = await bound_ports(hands, server)
    await connect_disks(hands, server)
    await hands.hypervisor.start(await prepared(hands, server, ports))
    await complete_disks(hands, server)
    migration, now = str(work.arguments["migration"]), hands.clock.wall_us()
    await work.end(server.state, also=lambda records, _: migration_is(records, migration, "completed", now))


async def _tell(hands: Hands, work: Work, status: str) -> None:
    migration, now = str(work.arguments["migration"]), hands.clock.wall_us()
    await hands.store.change(lambda records: migration_is(records, migration, status, now))
