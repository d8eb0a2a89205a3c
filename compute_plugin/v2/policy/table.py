"""The table, of all groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.rest.policy import Operation, Policy

RULES: Final = {
    "context_is_admin": "role:admin",
    "admin_api": "role:admin",
    "project_reader": "rule:admin_api or (role:reader and project_id:%(project_id)s)",
    "project_member": "rule:admin_api or (role:member and project_id:%(project_id)s)",
    "project_manager": "rule:admin_api or (role:manager and project_id:%(project_id)s)",
    "owner_user": "rule:admin_api or user_id:%(user_id)s",
    "service_or_admin": "rule:admin_api or role:service",
}
ANYBODY: Final[tuple[str, ...]] = ()
READ: Final[tuple[str, ...]] = ()
CHANGE: Final[tuple[str, ...]] = ()
ADMIN: Final[tuple[str, ...]] = ()


def compute_policy(overrides: Mapping[str, str] | None = None) -> Policy:
    """`overrides` replace checks, by the names of operations or rules. Raises InvalidError."""
    groups = (
        ("@", ANYBODY),
        ("rule:project_reader", READ),
        ("rule:project_member", CHANGE),
        ("rule:admin_api", ADMIN),
    )
    operations = [Operation(name, check, ("project",)) for check, names in groups for name in names]
    return Policy(operations, RULES, overrides)
