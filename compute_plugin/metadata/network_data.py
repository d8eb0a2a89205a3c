"""`network_data.json`: how the network cards of a server are to be set up. Pure.

https://docs.openstack.org/nova/latest/user/metadata.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from compute_plugin.agent.guest_plan import tap_of

Row = dict[str, Any]


def network_data(ports: Sequence[Mapping[str, Any]]) -> Row:
    """`ports`: as the network service tells of them, each with its `mtu` and the `subnets` of its network."""
    links = [
        {
            "id": tap_of(port["id"]),
            "vif_id": port["id"],
            "type": "phy",
            "mtu": port.get("mtu"),
            "ethernet_mac_address": port["mac_address"],
        }
        for port in ports
    ]
    networks = [
        one
        for port in ports
        for at, fixed in enumerate(port["fixed_ips"])
        if (one := _network(port, fixed, at)) is not None
    ]
    for number, one in enumerate(networks):
        one["id"] = f"network{number}"
    servers = {
        str(address) for port in ports for subnet in _subnets(port) for address in subnet.get("dns_nameservers", ())
    }
    return {
        "links": links,
        "networks": networks,
        "services": [{"type": "dns", "address": one} for one in sorted(servers)],
    }


def _subnets(port: Mapping[str, Any]) -> Sequence[Row]:
    found: Sequence[Row] = port.get("subnets", ())
    return found


def _network(port: Mapping[str, Any], fixed: Mapping[str, Any], at: int) -> Row | None:
    subnet = next((one for one in _subnets(port) if one["id"] == fixed["subnet_id"]), None)
    if subnet is None:
        return None
    block = ipaddress.ip_network(subnet["cidr"])
    version = block.version
    common: Row = {"id": "", "link": tap_of(port["id"]), "network_id": port["network_id"]}
    if version == 6 and subnet.get("ipv6_address_mode") in ("slaac", "dhcpv6-stateless", "dhcpv6-stateful"):
        return {**common, "type": f"ipv6_{subnet['ipv6_address_mode']}"}
    if version == 4 and subnet.get("enable_dhcp") and at == 0:
        return {**common, "type": "ipv4_dhcp"}
    gateway = subnet.get("gateway_ip")
    routes: list[Row] = [
        {"network": str(net.network_address), "netmask": str(net.netmask), "gateway": one["nexthop"]}
        for one in subnet.get("host_routes", ())
        for net in (ipaddress.ip_network(one["destination"]),)
    ]
    if gateway:
        every = "0.0.0.0" if version == 4 else "::"  # noqa: S104 - the route to everywhere
        routes.append({"network": every, "netmask": every, "gateway": gateway})
    return {
        **common,
        "type": f"ipv{version}",
        "ip_address": fixed["ip_address"],
        "netmask": str(block.netmask),
        "routes": routes,
        "services": [{"type": "dns", "address": one} for one in subnet.get("dns_nameservers", ())],
    }
