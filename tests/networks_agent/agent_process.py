"""An agent in a process of its own. usage: agent_process SOCKET NAME ADDRESS [PHYSICAL=LINK | PHYSICAL]..."""

from __future__ import annotations

import sys

import trio

from compute_plugin.networks.agent.agent import Agent
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from store.core.clock import SystemClock
from tests.networks_agent.registry_socket import ask


async def main(*arguments: str) -> None:
    socket, name, address, *physical = arguments
    wires = dict(one.split("=", 1) for one in physical if "=" in one)
    host = Host(name=name, address=address, wires=wires, local=frozenset(one for one in physical if "=" not in one))
    async with ask(socket, name) as registry, trio.open_nursery() as nursery:
        store, states = NetworkStore(registry), StateStore(registry)
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        agent = Agent(registry, store, states, host, SystemClock())
        await nursery.start(lambda task_status: agent.run(task_status=task_status))
        print("started", flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
