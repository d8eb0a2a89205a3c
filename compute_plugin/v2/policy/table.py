"""Who may do what with servers and all that is for them: stock nova's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compute_plugin.v2.policy.action_lines import ACTION_LINES
from compute_plugin.v2.policy.host_lines import HOST_LINES
from compute_plugin.v2.policy.operating_lines import OPERATING_LINES
from compute_plugin.v2.policy.proxy_lines import PROXY_LINES
from compute_plugin.v2.policy.resource_lines import RESOURCE_LINES
from compute_plugin.v2.policy.server_lines import SERVER_LINES
from gateway.rest.policy import Operation, Policy

RULES: Final = {
    "context_is_admin": "role:admin",
    "project_manager_api": "role:manager and project_id:%(project_id)s",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "service_api": "role:service",
    "project_manager_or_admin": "rule:project_manager_api or rule:context_is_admin",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
    "service_or_admin": "rule:service_api or rule:context_is_admin",
}

LINES: Final = (SERVER_LINES, ACTION_LINES, RESOURCE_LINES, HOST_LINES, OPERATING_LINES, PROXY_LINES)

SCOPES: Final = ("project",)
"""Administrators of the system or of a domain are none of servers."""

OPERATIONS: Final = tuple(
    Operation(name, check, SCOPES) for lines in LINES for check, names in lines.items() for name in names
)


def compute_policy(overrides: Mapping[str, str] | None = None) -> Policy:
    """The table; `overrides` replace checks, by the names of operations or rules. Raises InvalidError."""
    return Policy(OPERATIONS, RULES, overrides)
