"""Who may do what: limits, usage and what else is counted. As stock nova has it (2026.2)."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.policy.checks import ADMIN, ANYBODY, MANAGER, READER, SERVICE

OPERATING_LINES: Final = {
    ANYBODY: (
        "os_compute_api:extensions",
        "os_compute_api:limits",
        "os_compute_api:os-quota-sets:defaults",
    ),
    READER: (
        "os_compute_api:os-quota-sets:show",
        "os_compute_api:os-quota-sets:detail",
        "os_compute_api:os-simple-tenant-usage:show",
    ),
    MANAGER: ("os_compute_api:os-migrations:index",),
    SERVICE: (
        "os_compute_api:os-assisted-volume-snapshots:create",
        "os_compute_api:os-assisted-volume-snapshots:delete",
        "os_compute_api:os-server-external-events:create",
    ),
    ADMIN: (
        "os_compute_api:os-instance-usage-audit-log:list",
        "os_compute_api:os-instance-usage-audit-log:show",
        "os_compute_api:limits:other_project",
        "os_compute_api:os-migrations:index:all_projects",
        "os_compute_api:os-migrations:index:host",
        "os_compute_api:os-quota-class-sets:show",
        "os_compute_api:os-quota-class-sets:update",
        "os_compute_api:os-quota-sets:update",
        "os_compute_api:os-quota-sets:delete",
        "os_compute_api:os-simple-tenant-usage:list",
    ),
}
