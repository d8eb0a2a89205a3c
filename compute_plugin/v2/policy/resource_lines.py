"""Who may do what: flavors, key pairs and server groups. As stock nova has it (2026.2)."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.policy.checks import ADMIN, MEMBER, OWNER, READER

RESOURCE_LINES: Final = {
    READER: (
        "os_compute_api:os-flavor-extra-specs:show",
        "os_compute_api:os-flavor-extra-specs:index",
        "os_compute_api:os-server-groups:index",
        "os_compute_api:os-server-groups:show",
    ),
    MEMBER: (
        "os_compute_api:os-server-groups:create",
        "os_compute_api:os-server-groups:delete",
    ),
    OWNER: (
        "os_compute_api:os-keypairs:index",
        "os_compute_api:os-keypairs:create",
        "os_compute_api:os-keypairs:delete",
        "os_compute_api:os-keypairs:show",
    ),
    ADMIN: (
        "os_compute_api:os-flavor-access:add_tenant_access",
        "os_compute_api:os-flavor-access:remove_tenant_access",
        "os_compute_api:os-flavor-access",
        "os_compute_api:os-flavor-extra-specs:create",
        "os_compute_api:os-flavor-extra-specs:update",
        "os_compute_api:os-flavor-extra-specs:delete",
        "os_compute_api:os-flavor-manage:create",
        "os_compute_api:os-flavor-manage:update",
        "os_compute_api:os-flavor-manage:delete",
        "os_compute_api:os-server-groups:index:all_projects",
    ),
}
