"""The agent of networks over a node: what it is told of this machine, and that there is one of it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import BinaryIO, Final

import structlog
import trio

from compute_plugin.networks.agent.agent import Agent
from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.agent.metadata.asking import Answers
from compute_plugin.networks.agent.standing import Standing
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.settings import Settings
from drystone.kept_running import keep_running
from drystone.network_owner import lock_host, own, owned_by_another
from drystone.node import Node
from drystone.node_records import split_address
from store.core.errors import InvalidError

log = structlog.get_logger()

LOCAL: Final = "public"
"""The physical network of a machine alone that was told of none: a bridge of its own."""
AGAIN_S: Final = 5.0
"""How often it is tried to wire the machine while another process does."""
LINK_CHARACTERS_MAX: Final = 15


class HostAgent:
    """Wires this machine, where nobody else does."""

    def __init__(
        self,
        node: Node,
        service: NetworkService,
        name: str,
        wires: Mapping[str, str],
        settings: Settings,
        metadata: Answers,
    ) -> None:
        """`wires`: links by the names of physical networks. `metadata`: what servers are told of themselves."""
        listens = node.together.identity.address if node.together is not None else ""
        self._find_host = partial(network_host, name, listens, wires, settings.dns_domain)
        self._host: Host | None = None
        self._cloud = node.cluster.id.hex()
        self._node = node
        self._service = service
        self._metadata = metadata

    async def run(self) -> None:
        """Until cancelled."""
        await keep_running("the agent of networks", self._wire, self._tell, self._node.clock)

    async def _wire(self) -> None:
        host = await trio.to_thread.run_sync(self._find_host, abandon_on_cancel=True)  # it may ask for a name
        self._host = host
        is_root = os.geteuid() == 0  # anybody else is refused by the agent, in words
        with await self._locked(host.run) if is_root else nullcontext():
            if is_root:
                if owned_by_another(host.run, self._cloud):
                    await self._refuse("another cloud's networks are wired here; 'drystone network clear' removes them")
                own(host.run, self._cloud)
            service = self._service
            registry, clock = self._node.registry, self._node.clock
            await Agent(registry, service.store, service.states, host, clock, metadata=self._metadata).run()

    async def _locked(self, run: str) -> BinaryIO:
        """Once no other process wires this machine."""
        said = False
        while (lock := lock_host(run)) is None:
            if not said:
                log.warning("networks are not wired: another Drystone does that on this machine")
                said = True
            await trio.sleep(AGAIN_S)
        return lock

    async def _refuse(self, why: str) -> None:
        """Say for ever what keeps this machine from being wired."""
        log.error("networks are not wired on this host", problems=[why])
        await self._say(why)

    async def _tell(self, why: str) -> None:
        """Until cancelled, to others, too."""
        try:
            await self._say(why)
        except* Exception:
            log.exception("it cannot be told that networks are not wired")
        await trio.sleep_forever()

    async def _say(self, why: str) -> None:
        if self._host is not None:  # else others would be told of no address, and packets go to that of before
            await Standing(self._node.registry, self._host, self._node.clock, Bell(), (why,)).run()


def network_host(name: str, listens: str, wires: Mapping[str, str], dns_domain: str) -> Host:
    """`listens`: the node's address and port, "" for a machine that is none of a cluster; others send VXLAN there."""
    address = _numeric(split_address(listens)[0]) if listens else ""
    alone = not address or ipaddress.ip_address(address).is_loopback
    local = frozenset({LOCAL} if alone and not wires else ())
    return Host(name=name, address="" if alone else address, wires=dict(wires), local=local, dns_domain=dns_domain)


def _numeric(host: str) -> str:
    """Other nodes may know this one by a name."""
    return str(socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)[0][4][0])


def parse_wires(said: Sequence[str]) -> dict[str, str]:
    """`NAME=LINK`, each. Raises InvalidError."""
    found: dict[str, str] = {}
    for one in said:
        name, equals, link = one.partition("=")
        if not equals or not name or not 1 <= len(link) <= LINK_CHARACTERS_MAX or "/" in link or name in found:
            raise InvalidError(f"--physical-network {one}: NAME=LINK, such as public=eth1, and each name once")
        found[name] = link
    return found
