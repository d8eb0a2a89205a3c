"""Who may do what with security groups."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, ANYBODY, GROUP_MEMBER, GROUP_READER, MEMBER, READER

SECURITY_LINES: Final = {
    MEMBER: (
        "create_security_group",
        "create_security_group:tags",
        "update_security_group",
        "update_security_group:tags",
        "delete_security_group",
        "delete_security_group:tags",
        "create_address_group",
        "update_address_group",
        "delete_address_group",
        "add_addresses",
        "remove_addresses",
    ),
    f"{READER} or rule:shared": ("get_security_group", "get_security_group:tags", "get_address_group"),
    GROUP_MEMBER: ("create_security_group_rule", "delete_security_group_rule"),
    GROUP_READER: ("get_security_group_rule",),
    ADMIN: ("create_default_security_group_rule", "delete_default_security_group_rule"),
    ANYBODY: ("get_default_security_group_rule",),
}
