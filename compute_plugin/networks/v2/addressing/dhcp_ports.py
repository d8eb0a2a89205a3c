"""The port of a network's DHCP: there as long as a subnet has DHCP, with one address in each that does.

It is the address of the servers on all hosts, and made and changed together with the subnets."""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import DHCP, FixedIp, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.addressing.subnet_kinds import makes_own
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.port_addresses import Wish, addresses_for, free_in
from compute_plugin.networks.v2.ports.port_macs import free_mac


def dhcp_port(records: Records, network_id: str) -> Port | None:
    """A network's; None where it has none."""
    found = [one for one in records.ports.by("device", _device(network_id)) if one.device_owner == DHCP]
    return next((one for one in found if one.network_id == network_id), None)


def keep_dhcp_port(change: Change, network: Network) -> None:
    """Make it what the network's subnets want. Where one of them has no address left, there is none of it."""
    records = change.records
    held = dhcp_port(records, network.id)
    served = [one for one in records.subnets.by("network", network.id) if one.enable_dhcp]
    port = held or Port(
        id=change.new_id(),
        project_id=network.project_id,
        network_id=network.id,
        mac=free_mac(change, network.id),
        device_id=_device(network.id),
        device_owner=DHCP,
        port_security_enabled=False,
    )
    found: list[FixedIp] = []
    for subnet in served:
        if not makes_own(subnet, DHCP):
            had = [one for one in port.fixed_ips if one.subnet_id == subnet.id]
            free = None if had else free_in(records, port, [subnet])
            found += had or ([free] if free is not None else [])
    addresses = addresses_for(records, port, [Wish(one.subnet_id, one.address) for one in found])
    if addresses:
        change.put(records.ports, replace(port, fixed_ips=addresses))
    elif held is not None:
        records.ports.delete(held.id)


def _device(network_id: str) -> str:
    return f"dhcp-{network_id}"
