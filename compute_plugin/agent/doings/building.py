"""A server comes to be, or is on a host again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from compute_plugin.agent.doings.parts import forget_folder, make_disks, make_ports, unbind_ports
from compute_plugin.agent.doings.resizing import drop_snapshots
from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import HypervisorError
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.scheduling.choice import NoHostError
from compute_plugin.scheduling.requests import place

HOSTS_MOST: Final = 3
"""So many are tried before a server is given up: what none could start may be the server's own fault."""

_log = structlog.get_logger(__name__)


async def build(hands: Hands, work: Work) -> None:
    """Ports, disks, and the guest; on another host where this one's hypervisor refuses."""
    await work.step("ports")
    await make_ports(hands, work)
    await work.step("disks")
    await make_disks(hands, work)
    await work.step("start")
    try:
        await run_guest(hands, work)
    except HypervisorError as error:
        await _elsewhere(hands, work, error)
        return
    await work.end(changed=lambda server: replace(server, progress=100))


async def _elsewhere(hands: Hands, work: Work, error: HypervisorError) -> None:
    """Raises the error where no other host is to be tried."""
    tried = [*work.arguments.get("tried", ()), hands.host]
    if len(tried) >= HOSTS_MOST or work.server.wanted_host:
        raise error

    def choose(records: Records, server: Server) -> str:
        others = frozenset(tried)
        return place(records, hands.states(), hands.settings, replace(server, host=""), others_than=others).name

    await hands.hypervisor.stop(work.server.id, 0)
    await unbind_ports(hands, work.server)
    await forget_folder(hands, work.server)
    try:
        await work.hand_over(choose, tried=tried)
    except NoHostError:
        raise error from None
    _log.warning("a server is tried on another host", server=work.server.id, host=work.server.host, error=str(error))


async def unshelve(hands: Hands, work: Work) -> None:
    """On the host that was chosen when it was asked for."""
    await work.step("ports")
    await make_ports(hands, work)
    await work.step("start")
    await run_guest(hands, work)
    await work.end()


async def restore(hands: Hands, work: Work) -> None:
    """One that was deleted and not put away yet."""
    await work.step("start")
    await run_guest(hands, work)
    await work.end(changed=lambda server: replace(server, terminated_us=0))


async def evacuate(hands: Hands, work: Work) -> None:
    """Its host is gone: it begins again here, with its disks. Whoever opens a volume here is its only writer from then
    on, whatever the old guest still does (docs/volumes.md: epochs)."""
    await work.step("ports")
    await make_ports(hands, work)
    await work.step("disks")
    await drop_snapshots(hands, work)
    if not work.arguments.get("stays_off"):
        await work.step("start")
        await run_guest(hands, work)
    migration = str(work.arguments.get("migration", ""))
    await work.end(
        VmState.STOPPED if work.arguments.get("stays_off") else VmState.ACTIVE,
        also=lambda records, _: migration_is(records, migration, "done", hands.clock.wall_us()),
    )
