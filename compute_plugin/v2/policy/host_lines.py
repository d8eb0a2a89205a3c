"""Who may do what: hosts, and what is said of them. As stock nova has it (2026.2)."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.policy.checks import ADMIN, ANYBODY

HOST_LINES: Final = {
    ANYBODY: ("os_compute_api:os-availability-zone:list",),
    ADMIN: (
        "os_compute_api:os-aggregates:set_metadata",
        "os_compute_api:os-aggregates:add_host",
        "os_compute_api:os-aggregates:create",
        "os_compute_api:os-aggregates:remove_host",
        "os_compute_api:os-aggregates:update",
        "os_compute_api:os-aggregates:index",
        "os_compute_api:os-aggregates:delete",
        "os_compute_api:os-aggregates:show",
        "compute:aggregates:images",
        "os_compute_api:os-availability-zone:detail",
        "os_compute_api:os-hosts:list",
        "os_compute_api:os-hosts:show",
        "os_compute_api:os-hosts:update",
        "os_compute_api:os-hosts:reboot",
        "os_compute_api:os-hosts:shutdown",
        "os_compute_api:os-hosts:start",
        "placement:resource_providers:list",
        "os_compute_api:os-hypervisors:list",
        "os_compute_api:os-hypervisors:list-detail",
        "os_compute_api:os-hypervisors:statistics",
        "os_compute_api:os-hypervisors:show",
        "os_compute_api:os-hypervisors:uptime",
        "os_compute_api:os-hypervisors:search",
        "os_compute_api:os-hypervisors:servers",
        "os_compute_api:os-services:list",
        "os_compute_api:os-services:update",
        "os_compute_api:os-services:delete",
    ),
}
