"""Who may do what: what is done with servers by actions. As stock nova has it (2026.2)."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.policy.checks import ADMIN, MANAGER, MEMBER

ACTION_LINES: Final = {
    MEMBER: (
        "os_compute_api:os-admin-password",
        "os_compute_api:os-console-output",
        "os_compute_api:os-create-backup",
        "os_compute_api:os-deferred-delete:restore",
        "os_compute_api:os-deferred-delete:force",
        "os_compute_api:os-lock-server:lock",
        "os_compute_api:os-lock-server:unlock",
        "os_compute_api:os-multinic:add",
        "os_compute_api:os-multinic:remove",
        "os_compute_api:os-pause-server:pause",
        "os_compute_api:os-pause-server:unpause",
        "os_compute_api:os-remote-consoles",
        "os_compute_api:os-rescue",
        "os_compute_api:os-unrescue",
        "os_compute_api:os-shelve:shelve",
        "os_compute_api:os-shelve:unshelve",
        "os_compute_api:os-suspend-server:resume",
        "os_compute_api:os-suspend-server:suspend",
    ),
    MANAGER: (
        "os_compute_api:os-migrate-server:migrate",
        "os_compute_api:os-migrate-server:migrate_live",
    ),
    ADMIN: (
        "os_compute_api:os-admin-actions:reset_state",
        "os_compute_api:os-admin-actions:inject_network_info",
        "os_compute_api:os-console-auth-tokens",
        "os_compute_api:os-evacuate",
        "os_compute_api:os-lock-server:unlock:unlock_override",
        "os_compute_api:os-migrate-server:migrate:host",
        "os_compute_api:os-migrate-server:migrate_live:host",
        "os_compute_api:os-shelve:unshelve_to_host",
        "os_compute_api:os-shelve:shelve_offload",
    ),
}
