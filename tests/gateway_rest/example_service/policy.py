"""Who may do what with stones."""

from __future__ import annotations

from typing import Final

from gateway.rest.policy import Operation

RULES: Final = {
    "admin": "role:admin",
    "of_project": "project_id:%(project_id)s",
    "reader": "rule:admin or (role:reader and rule:of_project)",
    "member": "rule:admin or (role:member and rule:of_project)",
}

OPERATIONS: Final = (
    Operation("example:list_stones", "rule:reader", ("project",)),
    Operation("example:show_stone", "rule:reader", ("project",)),
    Operation("example:create_stone", "rule:member", ("project",)),
    Operation("example:delete_stone", "rule:member", ("project",)),
)
