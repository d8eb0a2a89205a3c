"""The agent of networks over a node: what it is told of this machine, and that there is one of it."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from compute_plugin.networks.agent.agent import Agent
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.settings import Settings
from drystone.node import Node
from drystone.node_records import split_address
from store.core.errors import InvalidError

log = structlog.get_logger()

LOCAL: Final = "public"
"""The physical network of a machine alone that was told of none: a bridge of its own."""
LOCK: Final = "\0drystone-networks"
"""An abstract socket: there is one in each network namespace, and it goes with the process."""
LINK_CHARACTERS_MAX: Final = 15


class HostAgent:
    """Wires this machine, where nobody else does."""

    def __init__(
        self, node: Node, service: NetworkService, name: str, wires: Mapping[str, str], settings: Settings
    ) -> None:
        """`wires`: links by the names of physical networks."""
        address = node.together.identity.address if node.together is not None else ""
        self._host = network_host(name, address, wires, settings.dns_domain)
        self._agent = Agent(node.registry, service.store, service.states, self._host, node.clock)

    async def run(self) -> None:
        """Until cancelled."""
        lock = lock_host()
        if lock is None:
            log.warning("networks are not wired: another Drystone does that on this machine")
            return
        with lock:
            await self._agent.run()


def network_host(name: str, listens: str, wires: Mapping[str, str], dns_domain: str) -> Host:
    """`listens`: the node's address and port, "" for a machine that is none of a cluster; others send VXLAN there."""
    address = split_address(listens)[0] if listens else ""
    alone = not address or ipaddress.ip_address(address).is_loopback
    local = frozenset({LOCAL} if alone and not wires else ())
    return Host(name=name, address="" if alone else address, wires=dict(wires), local=local, dns_domain=dns_domain)


def parse_wires(said: Sequence[str]) -> dict[str, str]:
    """`NAME=LINK`, each. Raises InvalidError."""
    found: dict[str, str] = {}
    for one in said:
        name, equals, link = one.partition("=")
        if not equals or not name or not 1 <= len(link) <= LINK_CHARACTERS_MAX or "/" in link or name in found:
            raise InvalidError(f"--physical-network {one}: NAME=LINK, such as public=eth1, and each name once")
        found[name] = link
    return found


def lock_host() -> socket.socket | None:
    """Held as long as it is open; None where another Drystone wires networks in this network namespace."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        held.bind(LOCK)
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return held
