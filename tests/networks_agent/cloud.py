"""Hosts with agents, guests on them, and the records that they follow."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from store.core.clock import SystemClock
from store.registry import memory_registry
from tests.cluster.machines import Machine, Process, Site
from tests.networks_agent.inside import Inside
from tests.networks_agent.registry_socket import serve
from tests.networks_plan.made import Made

SECONDS = 20.0
"""A generous deadline for what happens at once."""


class Guest(Inside):
    """A server: a namespace whose link is the other end of a plug."""

    def __init__(self, host: Host, port: Port) -> None:
        super().__init__()
        self.port = port
        self.host = host
        self.plug = names.plug(port.id)

    def plug_in(self) -> None:
        """With a link, as whoever starts the server does."""
        self.run(
            *("ip", "link", "add", "eth0", "address", self.port.mac, "type", "veth"),
            *("peer", "name", self.plug, "netns", str(self.host.machine.holder)),
        )
        self.host.machine.run("ip", "link", "set", self.plug, "up")
        self.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        self.run("ip", "link", "set", "eth0", "up")

    def address(self, *addresses: str) -> None:
        for one in addresses:
            self.run("ip", "address", "add", one, "dev", "eth0", *(["nodad"] if ":" in one else []))


class Host:
    """A machine with an agent."""

    def __init__(self, machine: Machine, path: str, *physical: str) -> None:
        self.machine = machine
        self.name = machine.name
        machine.run("mount", "-t", "tmpfs", "run", "/run")
        machine.run("mkdir", "/run/netns")
        self._command = [
            *(sys.executable, "-m", "tests.networks_agent.agent_process", path),
            *(machine.name, machine.address, *physical),
        ]
        self.agent: Process = machine.process(*self._command)

    async def start(self) -> None:
        self.agent.start()
        had = self.agent.output().count("started")
        await until(lambda: self.agent.output().count("started") > had, self.agent.output)

    def run(self, *command: str) -> str:
        return self.machine.run(*command)

    def counter(self, family: str, name: str) -> int:
        """Packets."""
        words = self.run("nft", "list", "counter", family, "drystone", name).split()
        return int(words[words.index("packets") + 1])


class Cloud:
    """All of it. Made by `cloud`."""

    def __init__(self, site: Site, path: str, closing: ExitStack) -> None:
        self.site = site
        self.registry = memory_registry(SystemClock())
        self.store = NetworkStore(self.registry)
        self.states = StateStore(self.registry)
        self._socket = path
        self.closing = closing
        """What ends with the cloud."""
        self.hosts: list[Host] = []

    async def host(self, *physical: str) -> Host:
        host = Host(self.site.add(len(self.hosts) + 1), self._socket, *physical)
        self.hosts.append(host)
        await host.start()
        return host

    async def change(self, what: Callable[[Made], Any]) -> Any:
        """Change the records."""
        return await self.store.change(lambda draft: what(Made(draft)))

    async def guest(self, host: Host, name: str, network: str, addresses: dict[str, str], **more: Any) -> Guest:
        """A port, and a server that is plugged into it and has the addresses."""
        port = await self.change(lambda made: made.port(name, network, addresses, host=host.name, **more))
        guest = Guest(host, port)
        self.closing.callback(guest.close)
        guest.plug_in()
        for fixed in port.fixed_ips:
            guest.address(f"{fixed.address}/{64 if ':' in fixed.address else 24}")
        await self.up(guest)
        return guest

    async def up(self, *guests: Guest) -> None:
        """Wait until agents say that they are wired."""
        for guest in guests:
            await until(partial(self.is_up, guest.port.id), self.said)

    def is_up(self, port: str) -> bool:
        state = self.states.states.ports.get(port)
        return state is not None and state.up

    def said(self) -> str:
        return "\n".join(f"{host.name}:\n{host.agent.output()}" for host in self.hosts)


async def passes(source: trio.SocketStream, target: trio.SocketStream, seconds: float = SECONDS) -> bool:
    """Whether what one end of a connection says comes out of the other."""
    with trio.move_on_after(seconds):
        await source.send_all(b"x")
        return await target.receive_some(1) == b"x"
    return False


async def until(holds: Callable[[], Any], said: Callable[[], str] = str) -> None:
    with trio.move_on_after(SECONDS):
        while not holds():
            await trio.sleep(0.02)
        return
    raise AssertionError(f"it is not so after {SECONDS} seconds\n{said()}")


async def until_async(holds: Callable[[], Any], said: Callable[[], str] = str) -> None:
    with trio.move_on_after(SECONDS):
        while not await holds():
            await trio.sleep(0.02)
        return
    raise AssertionError(f"it is not so after {SECONDS} seconds\n{said()}")


@asynccontextmanager
async def cloud(folder: Path) -> AsyncIterator[Cloud]:
    path = str(folder / "registry")
    with ExitStack() as closing:
        site = closing.enter_context(Site(folder))
        made = Cloud(site, path, closing)
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: serve(made.registry, path, task_status=task_status))
            nursery.start_soon(made.registry.run)
            await nursery.start(lambda task_status: made.store.run(task_status=task_status))
            await nursery.start(lambda task_status: made.states.run(task_status=task_status))
            yield made
            nursery.cancel_scope.cancel()
