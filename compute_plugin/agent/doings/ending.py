"""A server goes, for good or for a while."""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.agent.doings.parts import forget_folder, put_away_disks, put_away_ports, unbind_ports
from compute_plugin.agent.doings.power import stop_patience
from compute_plugin.agent.doings.resizing import drop_snapshots
from compute_plugin.agent.doings.undoing import abandon_image
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import Power
from compute_plugin.lifecycle.changes import GIVEN_UP
from compute_plugin.lifecycle.migrations import migration_is, unconfirmed
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server


async def delete(hands: Hands, work: Work) -> None:
    """With all that is its own: nothing of it is left anywhere. The guest first, so that it uses nothing that goes."""
    await work.step("end")
    if not await _ended_everywhere(hands, work, 0):
        return
    await work.step("ports")
    await put_away_ports(hands, work.server)
    await work.step("disks")
    await abandon_image(hands, work.server, work.arguments.get(GIVEN_UP, {}), "Its server is deleted.")
    await put_away_disks(hands, work.server)
    await work.remove()


async def _ended_everywhere(hands: Hands, work: Work, patience_s: float) -> bool:
    """Whether no host has its guest any more. Where another one may have, that goes on with the transition. One that is
    gone ends what it has when it comes back (`Watcher`)."""
    server, done = work.server, [*work.arguments.get("ended", ()), hands.host]
    held = {host for host, _ in server.claims}
    if hands.host in held:
        await hands.hypervisor.stop(server.id, patience_s)
        await forget_folder(hands, server)
    living = {one.id for one in hands.states().hosts}
    left = sorted(held & living - set(done))
    if left:
        await work.hand_over(left[0], ended=done)
    return not left


async def soft_delete(hands: Hands, work: Work) -> None:
    """It can be restored until it is reclaimed."""
    await work.step("stop")
    if not await _ended_everywhere(hands, work, stop_patience(hands, work)):
        return
    await abandon_image(hands, work.server, work.arguments.get(GIVEN_UP, {}), "Its server is deleted.")
    await drop_snapshots(hands, work)
    now = hands.clock.wall_us()

    def confirmed(records: Records, server: Server) -> None:
        """What was to be confirmed is: it cannot be reverted any more."""
        if (found := unconfirmed(records, server)) is not None:
            migration_is(records, found.id, "confirmed", now)

    def put_by(server: Server) -> Server:
        return replace(server, power=Power.SHUTDOWN, saved=False, before=None, terminated_us=now)

    await work.end(changed=put_by, also=confirmed)


async def shelve(hands: Hands, work: Work) -> None:
    """It takes nothing of any host: its disks are in the store, where they were all the time."""
    await work.step("stop")
    await hands.hypervisor.stop(work.server.id, stop_patience(hands, work))
    await offload(hands, work)


async def offload(hands: Hands, work: Work) -> None:
    await work.step("release")
    await hands.hypervisor.stop(work.server.id, 0)
    await unbind_ports(hands, work.server)
    await forget_folder(hands, work.server)
    await work.end(changed=_of_no_host)


def _of_no_host(server: Server) -> Server:
    return replace(server, host="", power=Power.SHUTDOWN, saved=False)
