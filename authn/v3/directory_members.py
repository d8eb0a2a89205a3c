"""Who is in which groups of directories, asked before role assignments are worked out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from authn.backends.backend import DirectoryAwayError
from authn.keys import GROUP_ACTOR, Assignment
from authn.records import User
from authn.snapshot import IdentitySnapshot
from authn.v3.call import Call

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DirectoryMembers:
    """What directories said."""

    users: dict[str, User] = field(default_factory=dict)
    """Members, most of whom are not stored here, by id."""
    groups: dict[str, set[str]] = field(default_factory=dict)
    """Ids of members by a group's id."""

    def user(self, snapshot: IdentitySnapshot, id_: str) -> User | None:
        return snapshot.users.get(id_) or self.users.get(id_)

    def groups_of(self, user_id: str) -> list[str]:
        return [id_ for id_, members in self.groups.items() if user_id in members]


async def members_for(call: Call, user_id: str, held: Iterable[Assignment]) -> DirectoryMembers:
    """Those that the answer needs: the user's groups, or without a user the members of the groups among `held`, where
    those of a directory that is away are left out, which the log tells. Raises DirectoryAwayError for the user's."""
    found, snapshot, shadows = DirectoryMembers(), call.snapshot, call.service.shadows
    if user_id:
        user = snapshot.users.get(user_id)
        if user is not None and user.directory_id:
            for of_user in (await shadows.groups_of(user)).records:
                found.groups[of_user.id] = {user_id}
        return found
    for group_id in sorted({one.actor_id for one in held if one.actor == GROUP_ACTOR}):
        group = snapshot.groups.get(group_id)
        if group is None or not group.directory_id:
            continue
        try:
            members = (await shadows.members_of(group)).records
        except DirectoryAwayError as error:
            _log.warning("roles are told without a directory's group", group_id=group_id, error=str(error))
            continue
        found.users.update({member.id: member for member in members})
        found.groups[group_id] = {member.id for member in members}
    return found
