"""From what people ask (a port, and a port or an address) to a packet that a server would send. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.errors import BadRequestError, MissingError
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.trunking import plug_of
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.trace.packet import PROTOCOLS, Packet

EPHEMERAL: Final = 40_000
"""The port that a client takes."""
ECHO: Final = {4: ("icmp", 8), 6: ("icmpv6", 128)}


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be traced."""

    host: str
    """Where it begins."""
    packet: Packet
    wanted: str
    """The link that it is to arrive at; "" where any end is good."""


class Answers:
    """Who answers for an address (`walk.Resolve`), by the records."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._networks = {names.bridge(one.id): one.id for one in records.networks}

    def __call__(self, bridge: str, address: str) -> str:
        return self.mac(self._networks.get(bridge, ""), address)

    def mac(self, network: str, address: str) -> str:
        """In a network; "" where nobody does."""
        for subnet in self._records.subnets.by("network", network):
            for port in self._records.ports.by("address", (subnet.id, address)):
                if port.device_owner != "network:floatingip":
                    return port.mac
        for floating in self._records.floating_ips.by("network", network):
            router = self._records.routers.get(floating.router_id or "")
            if floating.address == address and router is not None:
                gateway = self._records.ports.get(router.gateway_port_id or "")
                return gateway.mac if gateway is not None else ""
        return ""


def find_port(records: Records, said: str) -> Port:
    """By its id, its name or one of its addresses. Raises MissingError, BadRequestError where several are meant."""
    exact = records.ports.get(said)
    if exact is not None:
        return exact
    found = [one for one in records.ports if one.name == said or any(fixed.address == said for fixed in one.fixed_ips)]
    if not found:
        raise MissingError("PortNotFound", f"There is no port with the id, name or address {said[:255]}.")
    if len(found) > 1:
        ids = ", ".join(one.id for one in found[:5])
        raise BadRequestError("InvalidInput", f"{len(found)} ports are called {said[:255]}: say the id of one ({ids}).")
    return found[0]


def question(records: Records, sender: str, receiver: str, protocol: str = "icmp", number: int = 0) -> Question:
    """`receiver`: a port, or an address such as a floating one. `number`: the port of TCP, UDP and the like. Raises
    MissingError, BadRequestError where it can never be sent."""
    source = find_port(records, sender)
    if not source.host:
        raise BadRequestError("InvalidInput", f"Port {source.id} is plugged in nowhere: it has no host.")
    target, wanted = _target(records, receiver)
    pairs = [(one, to) for one in source.fixed_ips for to in target if _version(one.address) == _version(to)]
    if not pairs:
        raise BadRequestError("InvalidInput", "They have no addresses of the same version of IP.")
    fixed, to = pairs[0]
    name, kind = ECHO[_version(to)] if protocol in ("icmp", "icmpv6") else (protocol, 0)
    if name not in PROTOCOLS:
        raise BadRequestError("InvalidInput", f"{protocol[:32]}: no protocol that is known here.")
    packet = Packet(
        source_mac=source.mac,
        target_mac=_first_hop(records, source, fixed.subnet_id, to),
        source=fixed.address,
        target=to,
        protocol=PROTOCOLS[name],
        source_port=EPHEMERAL if kind == 0 else 0,
        target_port=number,
        icmp_type=kind,
        incoming=plug_of(records, source.id),
    )
    return Question(source.host, packet, wanted)


def _target(records: Records, receiver: str) -> tuple[list[str], str]:
    """Addresses, and the link of whoever is meant."""
    try:
        address = str(ipaddress.ip_address(receiver))
    except ValueError:
        port = find_port(records, receiver)
        return [one.address for one in port.fixed_ips], plug_of(records, port.id) if port.host else ""
    for floating in records.floating_ips:
        if floating.address == address and floating.port_id:
            return [address], plug_of(records, floating.port_id)
    return [address], ""


def _first_hop(records: Records, source: Port, subnet_id: str, target: str) -> str:
    """The MAC that a server sends to: the receiver's on a subnet of its own, the gateway's otherwise. "" for nobody."""
    answers = Answers(records)
    for fixed in source.fixed_ips:
        subnet = records.subnets.get(fixed.subnet_id)
        if subnet is not None and ipaddress.ip_address(target) in ipaddress.ip_network(subnet.cidr):
            return answers.mac(source.network_id, target)
    own = records.subnets.get(subnet_id)
    gateway = own.gateway_ip if own is not None else None
    return answers.mac(source.network_id, gateway) if gateway else ""


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version
