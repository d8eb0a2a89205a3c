"""Who may do what with subnet pools, address scopes, quotas and agents."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, ADMIN_OR_SERVICE, ANYBODY, MANAGER, MEMBER, READER

SUBNETPOOL_LINES: Final = {
    MEMBER: (
        "create_subnetpool",
        "create_subnetpool:tags",
        "update_subnetpool",
        "update_subnetpool:tags",
        "delete_subnetpool",
        "delete_subnetpool:tags",
        "onboard_network_subnets",
        "add_prefixes",
        "remove_prefixes",
        "create_address_scope",
        "update_address_scope",
        "delete_address_scope",
    ),
    ADMIN: (
        "create_subnetpool:shared",
        "create_subnetpool:is_default",
        "update_subnetpool:is_default",
        "create_address_scope:shared",
        "update_address_scope:shared",
    ),
    f"{READER} or rule:shared": ("get_subnetpool", "get_subnetpool:tags", "get_address_scope"),
}

OTHER_LINES: Final = {
    ANYBODY: ("get_availability_zone", "get_service_provider"),
    ADMIN_OR_SERVICE: ("get_network_ip_availability",),
    MANAGER: ("get_quota",),
    ADMIN: (
        "update_quota",
        "delete_quota",
        "get_agent",
        "update_agent",
        "delete_agent",
        "create_dhcp-network",
        "get_dhcp-networks",
        "delete_dhcp-network",
        "create_l3-router",
        "get_l3-routers",
        "delete_l3-router",
        "get_dhcp-agents",
        "get_l3-agents",
    ),
}
