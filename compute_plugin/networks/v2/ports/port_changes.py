"""What becomes of a port that is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compute_plugin.networks.records.port import Port
from compute_plugin.networks.v2.addressing.address_readers import with_macs, with_options
from compute_plugin.networks.v2.addressing.subnet_kinds import makes_own, subnets_for
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.port_addresses import Wish, addresses_for
from compute_plugin.networks.v2.ports.port_checks import require_named_by_floating, require_router_stays
from compute_plugin.networks.v2.ports.port_macs import free_mac
from compute_plugin.networks.v2.routing.floating_releases import release_addresses

FIELDS = {
    "binding:host_id": "host",
    "binding:profile": "binding_profile",
    "binding:vnic_type": "vnic_type",
    "security_groups": "security_group_ids",
}
"""Where the record says it otherwise than clients do."""


def stored(asked: Row) -> Row:
    """What is kept as it was read, by the names of the record's fields."""
    return {FIELDS.get(name, name): value for name, value in asked.items()}


def changed(change: Change, record: Port, asked: Row) -> Row:
    """The fields of the record that are to be others; all but its addresses."""
    found = dict(asked)
    if "mac_address" in found:
        found["mac"] = found.pop("mac_address") or free_mac(change, record.network_id)
    if "allowed_address_pairs" in found:
        found["address_pairs"] = with_macs(found.pop("allowed_address_pairs"), found.get("mac", record.mac))
    if "extra_dhcp_opts" in found:
        found["dhcp_options"] = with_options(record.dhcp_options, found.pop("extra_dhcp_opts"))
    if "security_groups" in found:
        found["security_groups"] = found["security_groups"] or ()
    return stored(found)


def moved(change: Change, record: Port, after: Port, wishes: Sequence[Wish] | None) -> Port:
    """With the addresses that are wished for; without wishes the same, but for those that are made of the MAC. Raises
    BadRequestError, InUseError."""
    records = change.records
    subnets = subnets_for(records, after.network_id, after.device_owner)
    by_itself = {one.id for one in subnets if makes_own(one, after.device_owner)}
    if wishes is None:
        wishes = [Wish(one.subnet_id, one.address) for one in record.fixed_ips]
    made = {one.address for one in record.fixed_ips if one.subnet_id in by_itself}
    wanted = [one for one in wishes if one.address not in made]
    found = replace(after, fixed_ips=addresses_for(records, after, wanted))
    require_router_stays(change, record, found)
    require_named_by_floating(change, found)
    release_addresses(change, found)
    return found
