"""Who may do what with networks: stock neutron's defaults (its policies in code, release 2026.1).

A line for an operation, such as `create_network`, and one for an attribute that not everybody may say or see, such as
`create_network:shared`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, MEMBER, READER, SERVICE
from compute_plugin.networks.v2.policy.other_lines import OTHER_LINES, SUBNETPOOL_LINES
from compute_plugin.networks.v2.policy.port_lines import PORT_LINES
from compute_plugin.networks.v2.policy.qos_lines import QOS_LINES, RBAC_LINES
from compute_plugin.networks.v2.policy.router_lines import ROUTER_LINES
from compute_plugin.networks.v2.policy.security_lines import SECURITY_LINES
from compute_plugin.networks.v2.policy.subnet_lines import SUBNET_LINES
from compute_plugin.networks.v2.policy.trunk_lines import TRUNK_LINES
from gateway.rest.policy import Operation, Policy

RULES: Final = {
    "context_is_admin": "role:admin",
    "admin_only": "rule:context_is_admin",
    "service_api": "role:service",
    "regular_user": "",
    "shared": "'True':%(shared)s",
    "external": "'True':%(router:external)s",
    "network_device": "'True':%(network_device)s",
    "project_reader": "role:reader and project_id:%(project_id)s",
    "project_member": "role:member and project_id:%(project_id)s",
    "project_manager": "role:manager and project_id:%(project_id)s",
    "network_owner_reader": "role:reader and project_id:%(network:project_id)s",
    "network_owner_member": "role:member and project_id:%(network:project_id)s",
    "network_owner_manager": "role:manager and project_id:%(network:project_id)s",
    "group_owner_reader": "role:reader and project_id:%(security_group:project_id)s",
    "group_owner_member": "role:member and project_id:%(security_group:project_id)s",
    "parent_owner_reader": "role:reader and project_id:%(ext_parent:project_id)s",
    "parent_owner_member": "role:member and project_id:%(ext_parent:project_id)s",
    "parent_owner_manager": "role:manager and project_id:%(ext_parent:project_id)s",
}

NETWORK_LINES: Final = {
    MEMBER: (
        "create_network",
        "create_network:port_security_enabled",
        "create_network:tags",
        "update_network",
        "update_network:port_security_enabled",
        "update_network:tags",
        "delete_network",
        "delete_network:tags",
    ),
    ADMIN: (
        "create_network:shared",
        "create_network:router:external",
        "create_network:is_default",
        "create_network:segments",
        "create_network:provider:network_type",
        "create_network:provider:physical_network",
        "create_network:provider:segmentation_id",
        "get_network:segments",
        "get_network:provider:network_type",
        "get_network:provider:physical_network",
        "get_network:provider:segmentation_id",
        "update_network:segments",
        "update_network:shared",
        "update_network:provider:network_type",
        "update_network:provider:physical_network",
        "update_network:provider:segmentation_id",
        "update_network:router:external",
        "update_network:is_default",
    ),
    f"{READER} or {SERVICE} or rule:shared or rule:external": ("get_network",),
    f"{READER} or rule:shared or rule:external": ("get_network:tags",),
}

LINES: Final = (
    NETWORK_LINES,
    SUBNET_LINES,
    PORT_LINES,
    SUBNETPOOL_LINES,
    OTHER_LINES,
    SECURITY_LINES,
    ROUTER_LINES,
    QOS_LINES,
    RBAC_LINES,
    TRUNK_LINES,
)

SCOPES: Final = ("project",)
"""An administrator of a domain is none of networks."""

OPERATIONS: Final = tuple(
    Operation(name, check, SCOPES) for lines in LINES for check, names in lines.items() for name in names
)


def network_policy(overrides: Mapping[str, str] | None = None) -> Policy:
    """The table, with an operator's changes."""
    return Policy(OPERATIONS, RULES, overrides)
