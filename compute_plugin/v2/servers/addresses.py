"""The addresses of servers, from the records of networks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records as NetworkRecords
from compute_plugin.records.server import Server


class Address(NamedTuple):
    """That a server has."""

    label: str
    """The name of the network."""
    text: str
    kind: str
    """`fixed` or `floating`."""
    mac: str

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.text).version


def ports_of(networks: NetworkRecords, server: Server) -> Iterator[Port]:
    """Those that are there, in the order of its network cards."""
    for nic in server.nics:
        port = networks.ports.get(nic.port_id) if nic.port_id else None
        if port is not None:
            yield port


def addresses_of(networks: NetworkRecords, server: Server) -> Iterator[Address]:
    """Of each card its own, and those that stand for it."""
    for port in ports_of(networks, server):
        network = networks.networks.get(port.network_id)
        label = (network.name if network is not None else "") or port.network_id
        floating = networks.floating_ips.by("port", port.id)
        for fixed in port.fixed_ips:
            yield Address(label, fixed.address, "fixed", port.mac)
            for one in floating:
                if one.fixed_ip in (fixed.address, None):
                    yield Address(label, one.address, "floating", port.mac)


def shown_addresses(networks: NetworkRecords, server: Server) -> dict[str, list[dict[str, Any]]]:
    """By the names of networks."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for one in addresses_of(networks, server):
        shown.setdefault(one.label, []).append(
            {
                "version": one.version,
                "addr": one.text,
                "OS-EXT-IPS:type": one.kind,
                "OS-EXT-IPS-MAC:mac_addr": one.mac,
            }
        )
    return shown


def plain_addresses(networks: NetworkRecords, server: Server) -> dict[str, list[dict[str, Any]]]:
    """The same, of each the version and the address alone."""
    return {
        label: [{"version": one["version"], "addr": one["addr"]} for one in rows]
        for label, rows in shown_addresses(networks, server).items()
    }


def shown_groups(networks: NetworkRecords, server: Server) -> list[Mapping[str, str]]:
    """The names of the security groups of its ports, once for each port."""
    found: list[Mapping[str, str]] = []
    for port in ports_of(networks, server):
        for id_ in port.security_group_ids:
            group = networks.security_groups.get(id_)
            if group is not None:
                found.append({"name": group.name})
    return found
