"""Who may do what with subnets."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, SERVICE

OWNER: Final = "rule:admin_only or rule:network_owner_member"
MEMBER: Final = f"{OWNER} or rule:project_member"
READER: Final = "rule:admin_only or rule:network_owner_reader or rule:project_reader or rule:shared or rule:external"

SUBNET_LINES: Final = {
    OWNER: ("create_subnet",),
    MEMBER: (
        "create_subnet:tags",
        "update_subnet",
        "update_subnet:tags",
        "delete_subnet",
        "delete_subnet:tags",
    ),
    ADMIN: (
        "create_subnet:segment_id",
        "create_subnet:service_types",
        "update_subnet:segment_id",
        "update_subnet:service_types",
        "get_subnet:segment_id",
    ),
    f"{READER} or {SERVICE}": ("get_subnet",),
    READER: ("get_subnet:tags",),
}
