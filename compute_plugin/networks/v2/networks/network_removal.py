"""What goes along with a network."""

from __future__ import annotations

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import DHCP, FLOATING_IP
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.store import ROOM
from compute_plugin.networks.v2.addressing.dhcp_ports import keep_dhcp_port
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.port_making import remove_port
from compute_plugin.networks.v2.routing.floating_releases import drop_floating, idle


def remove_network(change: Change, network: Network) -> None:
    """Raises InUseError."""
    records = change.records
    _require_unused(records, network)
    for floating in idle(records, network):
        drop_floating(change, floating)
    for port in records.ports.by("network", network.id):
        remove_port(change, port)
    for subnet in records.subnets.by("network", network.id):
        records.subnets.delete(subnet.id)
    for policy in records.rbac_policies.by("object", network.id):
        records.rbac_policies.delete(policy.id)
    records.segment_notes.delete(network.id)
    records.networks.delete(network.id)


def thin_out_network(change: Change, network: Network) -> bool:
    """See `Collection.thin_out`. Raises InUseError."""
    records = change.records
    floating, subnets = idle(records, network), records.subnets.by("network", network.id)
    policies = records.rbac_policies.by("object", network.id)
    if 2 * len(floating) + len(subnets) + len(policies) <= ROOM:
        return False
    _require_unused(records, network)
    if floating:
        for one in floating[: ROOM // 2]:
            drop_floating(change, one)
    elif policies:
        for policy in policies[:ROOM]:
            records.rbac_policies.delete(policy.id)
    else:
        for subnet in subnets[:ROOM]:
            records.subnets.delete(subnet.id)
        keep_dhcp_port(change, network)
    return True


def _require_unused(records: Records, network: Network) -> None:
    """By anybody but DHCP and floating addresses that stand for nothing. Raises InUseError."""
    going = {one.floating_port_id for one in idle(records, network)}
    used = [
        one.id
        for one in records.ports.by("network", network.id)
        if one.device_owner != DHCP and not (one.device_owner == FLOATING_IP and one.id in going)
    ]
    if used:
        raise InUseError(
            "NetworkInUse",
            f"Unable to complete operation on network {network.id}. There are one or more ports still in use on the "
            f"network, id for these ports is: {','.join(used[:20])}.",
        )
