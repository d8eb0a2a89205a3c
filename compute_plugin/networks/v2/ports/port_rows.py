"""How a port is shown: also what hosts say of it."""

from __future__ import annotations

import json
from typing import Final

from compute_plugin.networks.records.port import DHCP, FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from compute_plugin.networks.v2.frame.collection import Row, standard_row
from compute_plugin.networks.v2.frame.view import View
from compute_plugin.networks.v2.trunks.trunk_parts import trunk_details

UNBOUND: Final = "unbound"
BRIDGE: Final = "bridge"
BINDING_FAILED: Final = "binding_failed"


def port_row(view: View, port: Port) -> Row:
    network = view.records.networks.get(port.network_id)
    vif = vif_type(view, port)
    trunk = trunk_details(view.records, port)
    return {
        **standard_row(port),
        "network_id": port.network_id,
        "mac_address": port.mac,
        "admin_state_up": port.admin_state_up,
        "status": _status(view, port),
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "fixed_ips": [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in port.fixed_ips],
        "security_groups": list(port.security_group_ids),
        "port_security_enabled": port.port_security_enabled,
        "allowed_address_pairs": [{"ip_address": one.address, "mac_address": one.mac} for one in port.address_pairs],
        "extra_dhcp_opts": [
            {"opt_name": one.name, "opt_value": one.value, "ip_version": one.ip_version} for one in port.dhcp_options
        ],
        "binding:host_id": port.host,
        "binding:vnic_type": port.vnic_type,
        "binding:profile": json.loads(port.binding_profile),
        "binding:vif_type": vif,
        "binding:vif_details": _vif_details(port) if vif == BRIDGE else {},
        "dns_name": port.dns_name,
        "dns_domain": port.dns_domain,
        "dns_assignment": _dns_assignment(port, (network.dns_domain if network else "") or view.settings.dns_domain),
        "ip_allocation": "immediate" if port.fixed_ips else "none",
        "qos_policy_id": port.qos_policy_id,
        "qos_network_policy_id": network.qos_policy_id if network else None,
        "propagate_uplink_status": port.propagate_uplink_status,
        "hints": json.loads(port.hints) if port.hints is not None else None,
        "resource_request": None,
        "tags": list(port.tags),
        **({"trunk_details": trunk} if trunk is not None else {}),
    }


def vif_type(view: View, port: Port) -> str:
    """How a server is to be plugged in."""
    if not port.host:
        return UNBOUND
    return BRIDGE if view.states.agents.get(port.host) is not None else BINDING_FAILED


def _vif_details(port: Port) -> Row:
    return {"port_filter": True, "connectivity": "l2", "bridge_name": f"dsb-{port.network_id[:11]}"}


def _status(view: View, port: Port) -> str:
    if port.device_owner == FLOATING_IP:
        return "N/A"
    return "ACTIVE" if port.admin_state_up and _is_wired(view, port) else "DOWN"


def _is_wired(view: View, port: Port) -> bool:
    state = view.states.ports.get(port.id)
    if port.device_owner in (ROUTER_INTERFACE, ROUTER_GATEWAY):  # what another host said is of the past
        place = view.states.routers.get(port.device_id)
        return place is not None and (state is None or state.host != place.host or state.up)
    if port.device_owner == DHCP:  # on each host that has ports of the network
        return any(not one.problems for one in view.states.agents)
    return state is not None and state.up


def _dns_assignment(port: Port, domain: str) -> list[Row]:
    held = port.dns_domain or domain
    rows = []
    for one in port.fixed_ips:
        name = port.dns_name or f"host-{one.address.replace('.', '-').replace(':', '-')}"
        full = name if name.endswith(".") else f"{name}.{held.rstrip('.')}."
        rows.append({"ip_address": one.address, "hostname": name.partition(".")[0], "fqdn": full})
    return rows
