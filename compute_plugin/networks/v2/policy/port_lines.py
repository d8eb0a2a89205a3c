"""Who may do what with ports."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, ADMIN_OR_SERVICE, MEMBER, SERVICE

OWNER_MEMBER: Final = "rule:network_owner_member"
"""Of whose network it is."""
OWNER_MEMBER_OR_SERVICE: Final = f"{ADMIN_OR_SERVICE} or {OWNER_MEMBER}"

PORT_LINES: Final = {
    f"{ADMIN_OR_SERVICE} or {OWNER_MEMBER} or rule:shared": (
        "create_port",
        "create_port:fixed_ips",
        "create_port:fixed_ips:subnet_id",
        "update_port:fixed_ips:subnet_id",
    ),
    OWNER_MEMBER_OR_SERVICE: (
        "create_port:mac_address",
        "create_port:fixed_ips:ip_address",
        "create_port:port_security_enabled",
        "create_port:allowed_address_pairs",
        "create_port:allowed_address_pairs:mac_address",
        "create_port:allowed_address_pairs:ip_address",
        "update_port:fixed_ips",
        "update_port:fixed_ips:ip_address",
        "update_port:port_security_enabled",
        "update_port:allowed_address_pairs",
        "update_port:allowed_address_pairs:mac_address",
        "update_port:allowed_address_pairs:ip_address",
    ),
    f"not rule:network_device or {OWNER_MEMBER_OR_SERVICE}": ("create_port:device_owner", "update_port:device_owner"),
    f"{MEMBER} or {SERVICE}": (
        "create_port:device_id",
        "create_port:binding:vnic_type",
        "update_port",
        "update_port:device_id",
        "update_port:binding:vnic_type",
    ),
    f"{ADMIN_OR_SERVICE} or rule:network_owner_manager": ("update_port:mac_address",),
    ADMIN_OR_SERVICE: (
        "create_port:binding:host_id",
        "update_port:binding:host_id",
        "get_port:binding:vif_type",
        "get_port:binding:vif_details",
        "get_port:binding:host_id",
        "get_port:binding:profile",
    ),
    SERVICE: ("create_port:binding:profile", "update_port:binding:profile"),
    ADMIN: ("create_port:hints", "update_port:hints", "get_port:hints", "get_port:resource_request"),
    MEMBER: ("create_port:tags", "update_port:tags"),
    f"{ADMIN_OR_SERVICE} or rule:network_owner_reader or rule:project_reader": ("get_port",),
    "rule:admin_only or rule:network_owner_reader or rule:project_reader": ("get_port:tags",),
    f"{OWNER_MEMBER_OR_SERVICE} or rule:project_member": ("delete_port",),
    f"{MEMBER} or {OWNER_MEMBER}": ("delete_port:tags",),
}
