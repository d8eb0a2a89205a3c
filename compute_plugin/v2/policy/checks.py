"""The checks that lines of policy are made of, in the language of oslo.policy."""

from __future__ import annotations

from typing import Final

ANYBODY: Final = "@"
NOBODY: Final = "!"
ADMIN: Final = "rule:context_is_admin"
READER: Final = "rule:project_reader_or_admin"
MEMBER: Final = "rule:project_member_or_admin"
MANAGER: Final = "rule:project_manager_or_admin"
OWNER: Final = "rule:context_is_admin or user_id:%(user_id)s"
"""Of what belongs to a user, not to a project: key pairs."""
SERVICE: Final = "rule:service_or_admin"
