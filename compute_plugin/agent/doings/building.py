"""A server comes to be, or is on a host again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from compute_plugin.agent.doings.parts import make_disks, make_ports, unbind_ports
from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import HypervisorError
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.server import VmState
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
    records = await hands.store.fresh()
    try:
        chosen = place(records, hands.states(), hands.settings, work.server, others_than=frozenset(tried))
    except NoHostError:
        raise error from None
    _log.warning("a server is tried on another host", server=work.server.id, host=chosen.name, error=str(error))
    await hands.hypervisor.stop(work.server.id, 0)
    await unbind_ports(hands, work.server)
    await work.remember(tried=tried)
    await work.hand_over(chosen.name, lambda server: replace(server, host=chosen.name))


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
    if not work.arguments.get("stays_off"):
        await work.step("start")
        await run_guest(hands, work)
    migration = str(work.arguments.get("migration", ""))
    await work.end(
        VmState.STOPPED if work.arguments.get("stays_off") else VmState.ACTIVE,
        also=lambda records, _: migration_is(records, migration, "done", hands.clock.wall_us()),
    )
