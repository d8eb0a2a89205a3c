"""The checks that most lines of policy are made of, in the language of oslo.policy."""

from __future__ import annotations

from typing import Final

ADMIN: Final = "rule:admin_only"
SERVICE: Final = "rule:service_api"
READER: Final = "rule:admin_only or rule:project_reader"
MEMBER: Final = "rule:admin_only or rule:project_member"
MANAGER: Final = "rule:admin_only or rule:project_manager"
ADMIN_OR_SERVICE: Final = "rule:admin_only or rule:service_api"
ANYBODY: Final = "role:reader"
GROUP_READER: Final = "rule:admin_only or rule:group_owner_reader"
"""Of whose security group it is."""
GROUP_MEMBER: Final = "rule:admin_only or rule:group_owner_member"
PARENT_READER: Final = "rule:admin_only or rule:parent_owner_reader"
"""Of whose thing it is that the path names before it."""
PARENT_MEMBER: Final = "rule:admin_only or rule:parent_owner_member"
PARENT_MANAGER: Final = "rule:admin_only or rule:parent_owner_manager"
