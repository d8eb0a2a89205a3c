"""Who may do what with trunks, segments and flavors."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import ADMIN, ANYBODY, MEMBER, READER

TRUNK_LINES: Final = {
    MEMBER: (
        "create_trunk",
        "create_trunk:tags",
        "update_trunk",
        "update_trunk:tags",
        "delete_trunk",
        "delete_trunk:tags",
        "add_subports",
        "remove_subports",
    ),
    READER: ("get_trunk", "get_trunk:tags", "get_subports", "get_flavor_service_profile"),
    ADMIN: (
        "create_segment",
        "get_segment",
        "update_segment",
        "delete_segment",
        "create_flavor",
        "update_flavor",
        "delete_flavor",
        "create_service_profile",
        "get_service_profile",
        "update_service_profile",
        "delete_service_profile",
        "create_flavor_service_profile",
        "delete_flavor_service_profile",
    ),
    ANYBODY: ("get_flavor",),
}
