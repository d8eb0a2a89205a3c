"""The extensions that are served: clients look for these names before they use what is behind them."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.requests import Handler
from gateway.rest.answers import answer

EXTENSIONS: Final = {
    "aap-reject-multicast": "Allowed address pairs reject multicast extension",
    "address-group": "Address group",
    "address-scope": "Address scope",
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "availability_zone_filter": "Availability Zone Filter Extension",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "dns-domain-ports": "dns_domain for ports",
    "dns-integration": "DNS Integration",
    "empty-string-filtering": "Empty String Filtering Extension",
    "expose-l3-conntrack-helper": "Expose CT target rules for conntrack helper",
    "expose-port-forwarding-in-fip": "Expose Floating IP port forwardings",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-gateway-multihoming": "Neutron L3 External Gateway Multihoming",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "filter-validation": "Filter parameters validation",
    "fip-port-details": "Floating IP Port Details Extension",
    "flavors": "Neutron Service Flavors",
    "floating-ip-port-forwarding": "Floating IP Port Forwarding",
    "floating-ip-port-forwarding-description": "Floating IP Port Forwarding new attribute description",
    "floating-ip-port-forwarding-detail": "Floating IP port forwarding detail",
    "floating-ip-port-forwarding-port-ranges": "Floating IP Port Forwarding support port ranges",
    "floatingip-pools": "Floating IP Pools Extension",
    "ip-substring-filtering": "IP address substring filtering",
    "ip_allocation": "IP Allocation",
    "l2_adjacency": "L2 Adjacency",
    "l3-conntrack-helper": "L3 Conntrack helper",
    "l3-flavors": "Router Flavor Extension",
    "l3-port-ip-change-not-allowed": "Prevent L3 router ports IP address change extension",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-mac-address-regenerate": "Network port MAC address regenerate",
    "port-resource-request": "Port Resource Request",
    "port-security": "Port Security",
    "port-security-groups-filtering": "Port filtering on security groups",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "qos": "Quality of Service",
    "qos-bw-limit-direction": "Direction for QoS bandwidth limit rule",
    "qos-bw-minimum-ingress": "Ingress direction for QoS minimum bandwidth rule",
    "qos-default": "QoS default policy",
    "qos-fip": "Floating IP QoS",
    "qos-fip-network-policy": "QoS floating IP network policy ID",
    "qos-gateway-ip": "Router gateway IP QoS",
    "qos-port-network-policy": "QoS port network policy ID",
    "qos-pps": "QoS Rule Type Packet per Second Extension",
    "qos-pps-minimum": "QoS minimum packet rate rule",
    "qos-pps-minimum-rule-alias": "QoS minimum packet rate rule alias",
    "qos-rule-type-details": "Details of QoS rule types",
    "qos-rules-alias": "Quality of Service rules alias API",
    "quota-check-limit": "Quota engine limit check",
    "quota-check-limit-default": "Quota engine limit check by default",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-address-group": "Add address_group type to RBAC",
    "rbac-address-scope": "Add address_scope type to RBAC",
    "rbac-policies": "RBAC Policies",
    "rbac-security-groups": "Add security_group type to network RBAC",
    "rbac-subnetpool": "Add subnet pool type to RBAC",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-default-rules": "Default rules for security groups",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "security-groups-remote-address-group": "Remote address group id field for security group rules",
    "security-groups-rules-belongs-to-default-sg": "Security group rule belongs to the default security group",
    "security-groups-shared-filtering": "Security group filtering on the shared field",
    "segment": "Segment",
    "service-type": "Neutron Service Type Management",
    "sort-key-validation": "Sort keys validation",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-segment": "Standard Attribute Segment Extension",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet-dns-publish-fixed-ip": "Subnet DNS publish fixed IP",
    "subnet-external-network": "Subnet belongs to an external network",
    "subnet-service-types": "Subnet service types",
    "subnet_allocation": "Subnet Allocation",
    "subnet_onboard": "Subnet Onboard",
    "subnetpool-prefix-ops": "Subnet Pool Prefix Operations",
    "tag-creation": "Tag creation extension",
    "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
    "trunk": "Trunk Extension",
    "trunk-details": "Trunk port details",
    "uplink-status-propagation": "Uplink status propagation extension",
    "uplink-status-propagation-updatable": "Uplink status propagation updatable extension",
    "vlan-transparent": "Vlantransparent",
}
"""The alias, and its name."""
UPDATED: Final = "2026-11-30T00:00:00-00:00"


def _shown(alias: str) -> dict[str, object]:
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": UPDATED, "links": []}


async def list_extensions(call: Call) -> Response:
    return answer({"extensions": [_shown(alias) for alias in EXTENSIONS]})


async def show_extension(call: Call) -> Response:
    alias = call.path("alias")
    if alias not in EXTENSIONS:
        raise MissingError("ExtensionNotFound", f"Extension with alias {alias[:255]} does not exist")
    return answer({"extension": _shown(alias)})


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/v2.0/extensions": {"GET": list_extensions},
    "/v2.0/extensions/{alias}": {"GET": show_extension},
}
