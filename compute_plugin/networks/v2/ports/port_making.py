"""Ports as they are made, moved and removed, whoever asks for it: with addresses that nobody else has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.port_addresses import Wish, addresses_for
from compute_plugin.networks.v2.ports.port_macs import free_mac, require_free_mac
from compute_plugin.networks.v2.routing.floating_releases import release_port
from compute_plugin.networks.v2.trunks.trunk_parts import require_no_trunk

__all__ = ["Wish", "make_port", "place_port", "remove_port", "set_addresses"]


def make_port(
    change: Change,
    network: Network,
    project: str,
    *,
    owner: str,
    device: str,
    wishes: Sequence[Wish] | None = None,
    name: str = "",
    groups: tuple[str, ...] = (),
    mac: str | None = None,
    port_security: bool = False,
) -> Port:
    """A port of what networks need themselves. No wishes: one address of IPv4 and one of IPv6, where there are subnets
    of them. Raises BadRequestError, InUseError."""
    port = Port(
        id=change.new_id(),
        project_id=project,
        name=name,
        network_id=network.id,
        mac=mac or free_mac(change, network.id),
        device_id=device,
        device_owner=owner,
        security_group_ids=groups,
        port_security_enabled=port_security,
    )
    return place_port(change, port, wishes)


def place_port(change: Change, port: Port, wishes: Sequence[Wish] | None) -> Port:
    """A new port that says everything but its addresses. Raises BadRequestError, InUseError."""
    require_free_mac(change.records, port.network_id, port.mac)
    return change.put(change.records.ports, replace(port, fixed_ips=addresses_for(change.records, port, wishes)))


def set_addresses(change: Change, port: Port, wishes: Sequence[Wish]) -> Port:
    """Those that are wished for and that the port has stay; others come or go. Raises BadRequestError, InUseError."""
    return change.put(change.records.ports, replace(port, fixed_ips=addresses_for(change.records, port, wishes)))


def remove_port(change: Change, port: Port) -> None:
    """With what points at it: floating addresses then stand for nothing, and their port forwardings are gone. Raises
    InUseError where others need it."""
    require_no_trunk(change.records, port)
    release_port(change, port)
    change.records.ports.delete(port.id)
