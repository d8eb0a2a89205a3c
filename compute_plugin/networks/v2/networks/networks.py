"""Networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import FLAT, VLAN, VXLAN, Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_EXTERNAL, AS_SHARED
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, Attribute, invalid, shown, wrong
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag, items, one_of, or_none, text, uuid, whole
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_removal import remove_network, thin_out_network
from compute_plugin.networks.v2.networks.network_sharing import set_external, set_shared, share_network
from compute_plugin.networks.v2.operating.tags import new_tags
from compute_plugin.networks.v2.operating.zones import require_zones
from compute_plugin.networks.v2.qos.qos_use import default_qos_policy, require_qos_change

MTU_LEAST: Final = 68
VXLAN_BYTES: Final = 50
"""What VXLAN over IPv4 adds to a packet."""
PLACED: Final = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
RANGES: Final = {VLAN: (1, 4094), VXLAN: (1, (1 << 24) - 1)}


class Networks(Collection[Network]):
    """`/networks`."""

    singular = "network"
    plural = "networks"
    path = "/networks"
    quota = "network"
    tagged = True
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("admin_state_up", flag, default=True),
        Attribute("shared", flag, default=False),
        Attribute("router:external", flag, default=False),
        Attribute("is_default", flag, default=False),
        Attribute("mtu", whole(0, 65_535)),
        Attribute("port_security_enabled", flag, default=True),
        Attribute("provider:network_type", or_none(one_of((FLAT, VLAN, VXLAN))), update=False),
        Attribute("provider:physical_network", or_none(text(64)), update=False),
        Attribute("provider:segmentation_id", or_none(whole(1, RANGES[VXLAN][1])), update=False),
        Attribute("availability_zone_hints", items(text()), update=False, default=()),
        Attribute("dns_domain", text(), default=""),
        Attribute("qos_policy_id", or_none(uuid), default=None),
        Attribute("vlan_transparent", flag, update=False, default=False),
        Attribute("tags", new_tags, update=False, default=()),
        *shown(
            "id", "status", "subnets", "availability_zones", "ipv4_address_scope", "ipv6_address_scope", "l2_adjacency",
            "created_at", "updated_at", "revision_number",
        ),
    )  # fmt: skip

    def table(self, records: Records) -> Table[Network]:
        return records.networks

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: Network) -> Row:
        return {**super().target(view, record), **view.network_target(record)}

    def show(self, view: View, record: Network) -> Row:
        subnets = view.records.subnets.by("network", record.id)
        has_agents = any(not one.problems for one in view.states.agents)
        return {
            **standard_row(record),
            "admin_state_up": record.admin_state_up,
            "status": "ACTIVE" if record.admin_state_up else "DOWN",
            "subnets": [one.id for one in subnets],
            "shared": view.is_open(record.id),
            "router:external": record.external,
            "is_default": record.is_default,
            "mtu": record.mtu,
            "port_security_enabled": record.port_security_enabled,
            "provider:network_type": record.network_type,
            "provider:physical_network": record.physical_network,
            "provider:segmentation_id": record.segmentation_id,
            "availability_zone_hints": list(record.availability_zone_hints),
            "availability_zones": [view.settings.zone] if has_agents and subnets else [],
            "dns_domain": record.dns_domain,
            "qos_policy_id": record.qos_policy_id,
            "vlan_transparent": record.vlan_transparent,
            "ipv4_address_scope": _scope(view, record, 4),
            "ipv6_address_scope": _scope(view, record, 6),
            "l2_adjacency": True,
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        return {**super().create_target(change, project, asked), "network:project_id": project}

    def create(self, change: Change, project: str, asked: Row) -> Network:
        shared, external = asked.pop("shared"), asked.pop("router:external")
        fields = fresh_fields(change, project, asked)
        where = _placed(change, fields["id"], {name: asked.pop(name, None) for name in PLACED})
        most = change.settings.mtu - (VXLAN_BYTES if where["network_type"] == VXLAN else 0)
        mtu = asked.pop("mtu", 0) or most
        _require_mtu(mtu, most)
        require_zones(change, asked["availability_zone_hints"])
        require_qos_change(change, None, asked["qos_policy_id"])
        asked["qos_policy_id"] = asked["qos_policy_id"] or default_qos_policy(change, project)
        network = change.put(change.records.networks, Network(**fields, **where, **asked, mtu=mtu, external=external))
        if network.is_default:
            _require_sole_default(change, network)
        if shared:
            share_network(change, network, AS_SHARED)
        if external:
            share_network(change, network, AS_EXTERNAL)
        return network

    def update(self, change: Change, record: Network, asked: Row) -> Network:
        if "shared" in asked:
            set_shared(change, record, asked.pop("shared"))
        if "router:external" in asked:
            external = asked.pop("router:external")
            set_external(change, record, external)
            asked["external"] = external
        if "mtu" in asked:
            most = change.settings.mtu - (VXLAN_BYTES if record.network_type == VXLAN else 0)
            asked["mtu"] = asked["mtu"] or most
            _require_mtu(asked["mtu"], most)
        require_qos_change(change, record.qos_policy_id, asked.get("qos_policy_id", record.qos_policy_id))
        after = change.put(change.records.networks, replace(record, **asked))
        if after.is_default:
            _require_sole_default(change, after)
        return after

    def thin_out(self, change: Change, record: Network) -> bool:
        return thin_out_network(change, record)

    def delete(self, change: Change, record: Network) -> None:
        remove_network(change, record)


def _scope(view: View, network: Network, version: int) -> str | None:
    """The address scope of its subnets."""
    for subnet in view.records.subnets.by("network", network.id):
        pool = view.records.subnetpools.get(subnet.subnetpool_id or "")
        if subnet.ip_version == version and pool is not None and pool.address_scope_id:
            return pool.address_scope_id
    return None


def _placed(change: Change, id_: str, said: dict[str, Any]) -> Row:
    """The wire that it is on: what was said, and else a VXLAN that no other network has."""
    type_, wire, number = (said[name] for name in PLACED)
    if type_ is None:
        if wire is not None or number is not None:
            raise invalid("network_type required")
        type_ = VXLAN
    if type_ == VXLAN and wire is not None:
        raise invalid("provider:physical_network specified for vxlan network")
    if type_ != VXLAN and not wire:
        raise invalid(f"physical_network required for {type_} network")
    if type_ == FLAT and number is not None:
        raise invalid("provider:segmentation_id specified for flat network")
    if type_ != FLAT and number is None:
        number = _free_number(change, id_, type_, wire)
    if type_ == VLAN and not 1 <= number <= RANGES[VLAN][1]:
        raise invalid(f"segmentation_id out of range (1 through {RANGES[VLAN][1]})")
    if change.records.networks.has("segment", (type_, wire, number)):
        named = {VLAN: f"VlanId {number} on physical network {wire}", VXLAN: f"Tunnel ID {number}"}
        message = named.get(type_, f"Flat network on physical network {wire}")
        kind = {VLAN: "VlanIdInUse", VXLAN: "TunnelIdInUse"}.get(type_, "FlatNetworkInUse")
        raise InUseError(kind, f"Unable to create the network. The {message} is in use.")
    return {"network_type": type_, "physical_network": wire, "segmentation_id": number}


def _free_number(change: Change, id_: str, type_: str, wire: str | None) -> int:
    """Begins somewhere by the network's id: a number that was just given up may still be wired somewhere."""
    least, most = RANGES[VLAN] if type_ == VLAN else (change.settings.vni_least, change.settings.vni_most)
    count = most - least + 1
    start = int(id_[:8], 16) % count
    for step in range(count):
        number = least + (start + step) % count
        if not change.records.networks.has("segment", (type_, wire, number)):
            return number
    raise InUseError("NoNetworkAvailable", "Unable to create the network. No number is free for it.")


def _require_mtu(mtu: int, most: int) -> None:
    if not MTU_LEAST <= mtu <= most:
        raise wrong("mtu", f"'{mtu}' is not from {MTU_LEAST} to {most}, which the wires take")


def _require_sole_default(change: Change, network: Network) -> None:
    for other in change.records.networks:
        if other.is_default and other.id != network.id:
            raise InUseError("DefaultExternalNetworkExists", f"A default external network already exists: {other.id}.")
