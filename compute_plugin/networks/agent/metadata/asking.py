"""Requests for metadata: who asks for what, and what is said. Whoever knows more of servers gives other `Answers`."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from compute_plugin.networks.records.port import FixedIp, Port
from compute_plugin.networks.records.records import Records


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    network: str
    """Its id."""
    address: str
    """Where it came from; nobody but the port's server can send from there."""
    port: Port
    method: str
    path: str
    headers: Mapping[str, str]
    """By names in small letters."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Answers = Callable[[Asked], Awaitable[Answer]]


def port_of(records: Records, network: str, address: str) -> Port | None:
    """The port that has an address in a network; by its MAC where the address is one that IPv6 makes of it."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6 and parsed.is_link_local:
        octets = parsed.packed[8:]
        mac = bytes([octets[0] ^ 2, *octets[1:3], *octets[5:]])
        found = records.ports.by("mac", (network, mac.hex(":")))
        return found[0] if found else None
    for subnet in records.subnets.by("network", network):
        found = records.ports.by("address", FixedIp(subnet.id, address))
        if found:
            return found[0]
    return None
