"""Who may do what: what other services have, and old clients ask for here. As stock nova has it (2026.2)."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.policy.checks import ADMIN, ANYBODY, MEMBER, READER

PROXY_LINES: Final = {
    ANYBODY: ("os_compute_api:os-floating-ip-pools",),
    READER: (
        "os_compute_api:os-floating-ips:list",
        "os_compute_api:os-floating-ips:show",
        "os_compute_api:os-networks:list",
        "os_compute_api:os-networks:show",
        "os_compute_api:os-security-groups:get",
        "os_compute_api:os-security-groups:show",
        "os_compute_api:os-security-groups:list",
        "os_compute_api:os-tenant-networks:list",
        "os_compute_api:os-tenant-networks:show",
        "os_compute_api:os-volumes:list",
        "os_compute_api:os-volumes:detail",
        "os_compute_api:os-volumes:show",
        "os_compute_api:os-volumes:snapshots:list",
        "os_compute_api:os-volumes:snapshots:detail",
        "os_compute_api:os-volumes:snapshots:show",
    ),
    MEMBER: (
        "os_compute_api:os-floating-ips:add",
        "os_compute_api:os-floating-ips:remove",
        "os_compute_api:os-floating-ips:create",
        "os_compute_api:os-floating-ips:delete",
        "os_compute_api:os-security-groups:create",
        "os_compute_api:os-security-groups:update",
        "os_compute_api:os-security-groups:delete",
        "os_compute_api:os-security-groups:rule:create",
        "os_compute_api:os-security-groups:rule:delete",
        "os_compute_api:os-security-groups:add",
        "os_compute_api:os-security-groups:remove",
        "os_compute_api:os-volumes:create",
        "os_compute_api:os-volumes:delete",
        "os_compute_api:os-volumes:snapshots:create",
        "os_compute_api:os-volumes:snapshots:delete",
    ),
    ADMIN: (
        "os_compute_api:os-baremetal-nodes:list",
        "os_compute_api:os-baremetal-nodes:show",
    ),
}
