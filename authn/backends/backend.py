"""The seam: a source of the users and groups of one domain, which is read and which judges passwords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from store.core.errors import RetryableError

LISTED: Final = 10_000
"""How many records a listing tells at most, where the caller does not say fewer."""


class DirectoryAwayError(RetryableError):
    """The directory cannot be asked now. The text says which and why, for operators and for whoever sees a 503; it
    holds no password."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user as the directory tells it now. `id` is the directory's own, `public_id` what clients are told."""

    id: str
    public_id: str
    name: str
    email: str = ""
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class DirectoryGroup:
    """A group as the directory tells it now. `id` is the directory's own, `public_id` what clients are told."""

    id: str
    public_id: str
    name: str
    description: str = ""


R_co = TypeVar("R_co", DirectoryUser, DirectoryGroup, covariant=True)


@dataclass(frozen=True, slots=True)
class Listed(Generic[R_co]):
    """What was found, in the directory's order. `cut`: there is more."""

    records: Sequence[R_co]
    cut: bool = False


class IdentityBackend(Protocol):
    """Users and groups of one domain. Local ids are the directory's own; a public one does not lead back to them.

    Everything raises DirectoryAwayError where the directory cannot be asked. What is not there is None, or an empty
    listing; never an error. A name or id that more than one entry has is nobody's.
    """

    async def user(self, user_id: str) -> DirectoryUser | None:
        """The user of a local id."""
        ...

    async def user_by_name(self, name: str) -> DirectoryUser | None:
        """The user of a name. Directories compare as they like, mostly without regard to case: the record's name and id
        are what counts from here on, not the name that was asked for."""
        ...

    async def users(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        """All users, or those of that name."""
        ...

    async def authenticate(self, user_id: str, password: str) -> DirectoryUser | None:
        """The user, where the password is theirs and they are enabled; None without saying which it was. An empty
        password is nobody's."""
        ...

    async def group(self, group_id: str) -> DirectoryGroup | None:
        """The group of a local id."""
        ...

    async def group_by_name(self, name: str) -> DirectoryGroup | None:
        """The group of a name."""
        ...

    async def groups(self, name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        """All groups, or those of that name."""
        ...

    async def groups_of(self, user_id: str, *, limit: int = LISTED) -> Listed[DirectoryGroup]:
        """The groups that a user is in; none for an unknown user."""
        ...

    async def members_of(self, group_id: str, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        """The users in a group; none for an unknown group. Members that are no users of this domain are left out."""
        ...

    async def aclose(self) -> None:
        """Close what is held open. It may be asked again: then it opens anew."""
        ...
