"""Ports."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from compute_plugin.networks.records.port import DHCP, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_readers import (
    address_pairs,
    dhcp_options,
    fixed_ips,
    with_macs,
    with_options,
)
from compute_plugin.networks.v2.addressing.dhcp_ports import keep_dhcp_port
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import flag, items, mac, one_of, or_none, text, uuid
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_access import seen_network
from compute_plugin.networks.v2.operating.tags import new_tags
from compute_plugin.networks.v2.ports.port_changes import changed, moved, stored
from compute_plugin.networks.v2.ports.port_checks import (
    NETWORK_OWNED,
    allow_parts,
    require_deletable,
    require_groups,
    require_no_interface,
    require_secure,
    require_still_serving,
    require_unplugged,
)
from compute_plugin.networks.v2.ports.port_macs import free_mac
from compute_plugin.networks.v2.ports.port_making import place_port, remove_port
from compute_plugin.networks.v2.ports.port_readers import VNIC_TYPES, dns_domain, dns_name, hints, host, profile
from compute_plugin.networks.v2.ports.port_rows import port_row
from compute_plugin.networks.v2.qos.qos_use import require_qos_change
from compute_plugin.networks.v2.routing.floating_releases import thin_out_forwardings
from compute_plugin.networks.v2.security.default_groups import ensure_default_group
from compute_plugin.networks.v2.trunks.trunk_hosts import follow_parent


class Ports(Collection[Port]):
    """`/ports`."""

    singular = "port"
    plural = "ports"
    path = "/ports"
    quota = "port"
    tagged = True
    narrowing: ClassVar = {
        "device_id": "device",
        "network_id": "network",
        "binding:host_id": "host",
        "security_groups": "group",
        "device_owner": "owner",
        "project_id": "project",
        "tenant_id": "project",
    }
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("network_id", uuid, update=False, default=REQUIRED),
        Attribute("admin_state_up", flag, default=True),
        Attribute("mac_address", or_none(mac)),
        Attribute("fixed_ips", fixed_ips),
        Attribute("device_id", text(), default=""),
        Attribute("device_owner", text(), default=""),
        Attribute("security_groups", or_none(items(uuid))),
        Attribute("port_security_enabled", flag),
        Attribute("allowed_address_pairs", address_pairs, default=()),
        Attribute("extra_dhcp_opts", dhcp_options, default=()),
        Attribute("binding:host_id", host, default=""),
        Attribute("binding:profile", profile, default="{}"),
        Attribute("binding:vnic_type", one_of(VNIC_TYPES), default=VNIC_TYPES[0]),
        Attribute("dns_name", dns_name, default=""),
        Attribute("dns_domain", dns_domain, default=""),
        Attribute("qos_policy_id", or_none(uuid), default=None),
        Attribute("propagate_uplink_status", flag, default=True),
        Attribute("hints", hints, default=None),
        Attribute("tags", new_tags, update=False, default=()),
        *shown(
            "id", "status", "binding:vif_type", "binding:vif_details", "dns_assignment", "ip_allocation",
            "qos_network_policy_id", "resource_request", "trunk_details", "created_at", "updated_at", "revision_number",
        ),
    )  # fmt: skip

    def table(self, records: Records) -> Table[Port]:
        return records.ports

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: Port) -> Row:
        return {
            **super().target(view, record),
            **view.network_target(view.records.networks.get(record.network_id)),
            "network_device": record.device_owner.startswith(NETWORK_OWNED),
        }

    def show(self, view: View, record: Port) -> Row:
        return port_row(view, record)

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        return {
            **super().create_target(change, project, asked),
            **change.network_target(seen_network(change, asked["network_id"])),
            "network_device": asked["device_owner"].startswith(NETWORK_OWNED),
        }

    def update_target(self, change: Change, record: Port, asked: Row) -> Row:
        owner = asked.get("device_owner", record.device_owner)
        return {**super().update_target(change, record, asked), "network_device": owner.startswith(NETWORK_OWNED)}

    def create(self, change: Change, project: str, asked: Row) -> Port:
        allow_parts(change, "create_port", self.create_target(change, project, asked), asked)
        network = seen_network(change, asked.pop("network_id"))
        wishes = asked.pop("fixed_ips", None)
        fields = fresh_fields(change, project, asked)
        owned = asked["device_owner"].startswith(NETWORK_OWNED)
        said = asked.pop("security_groups", None)
        secure = asked.pop("port_security_enabled", network.port_security_enabled) and not owned
        own = asked.pop("mac_address", None) or free_mac(change, network.id)
        if said is None:
            groups = (ensure_default_group(change, project).id,) if secure else ()
        else:
            require_groups(change, said)
            groups = said
        port = Port(
            **fields,
            network_id=network.id,
            mac=own,
            security_group_ids=groups,
            port_security_enabled=secure,
            address_pairs=with_macs(asked.pop("allowed_address_pairs"), own),
            dhcp_options=with_options((), asked.pop("extra_dhcp_opts")),
            **stored(asked),
        )
        require_qos_change(change, None, port.qos_policy_id)
        require_secure(port, said)
        require_no_interface(change, port)
        return place_port(change, port, wishes)

    def update(self, change: Change, record: Port, asked: Row) -> Port:
        allow_parts(change, "update_port", self.update_target(change, record, asked), asked)
        wishes, said = asked.pop("fixed_ips", None), asked.get("security_groups")
        after = replace(record, **changed(change, record, asked))
        if said is not None:
            require_groups(change, said)
        require_qos_change(change, record.qos_policy_id, after.qos_policy_id)
        require_secure(after, said)
        require_no_interface(change, after, record)
        require_unplugged(change, record, after)
        if wishes is not None or after.mac != record.mac:
            after = moved(change, record, after, wishes)
        require_still_serving(change, record, after)
        after = change.put(change.records.ports, after)
        follow_parent(change, record, after)
        _keep_dhcp(change, record)
        return change.records.ports.require(after.id)

    def thin_out(self, change: Change, record: Port) -> bool:
        require_deletable(change, record)
        return thin_out_forwardings(change, record)

    def delete(self, change: Change, record: Port) -> None:
        require_deletable(change, record)
        remove_port(change, record)
        _keep_dhcp(change, record)


def _keep_dhcp(change: Change, before: Port) -> None:
    """Whoever deletes the port of a network's DHCP gets another one, as long as there are subnets that have DHCP."""
    network = change.records.networks.get(before.network_id)
    if before.device_owner == DHCP and network is not None:
        keep_dhcp_port(change, network)
