"""`drystone network clear`: a machine without any wiring of ours."""

from __future__ import annotations

import platform

import click
import trio

from compute_plugin.networks.agent.agent import Agent
from compute_plugin.networks.agent.fence import Fence
from compute_plugin.networks.agent.requirements import problems
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from drystone.network_owner import is_wired, lock_host
from store.core.clock import SystemClock
from store.registry import memory_registry


@click.command()
@click.confirmation_option(prompt="Servers on this machine lose their networks. Go on?")
def clear() -> None:
    """Remove all that networks have on this machine: links, namespaces, rules, and the programs in them.

    For machines that are to have no networks any more, or those of another cloud. What 'drystone up' wires stays when
    it ends, so that servers go on meanwhile; this is how it goes.
    """
    missing = problems()
    if missing:
        raise click.ClickException("; ".join(missing))
    host = Host(name=platform.node())
    lock = lock_host(host.run)
    if lock is None:
        raise click.ClickException("A running Drystone wires this machine: stop it first.")
    with lock:
        trio.run(_clear, host)
        if is_wired():
            raise click.ClickException("Not all could be removed; the log says why. It can be tried again.")
    click.echo("Nothing of networks is left here.")


async def _clear(host: Host) -> None:
    """An agent that knows of no networks does it."""
    clock = SystemClock()
    registry = memory_registry(clock)
    store, states = NetworkStore(registry), StateStore(registry)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        agent = Agent(registry, store, states, host, clock)
        await nursery.start(lambda task_status: agent.run(task_status=task_status))
        nursery.cancel_scope.cancel()
    await Fence(clock).remove()
