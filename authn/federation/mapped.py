"""What a mapping made of an assertion: names and ids only, nothing looked up yet."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class DomainReference:
    """By id, or where that is empty by name."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class MappedUser:
    """Empty where the mapping does not say. Without a domain an ephemeral user is of the identity provider's, while a
    local one has an id."""

    id: str
    name: str
    email: str
    domain: DomainReference | None
    type: str

    @property
    def unique_id(self) -> str:
        """What tells an ephemeral user from others of the same identity provider and protocol, as in Keystone."""
        return quote(self.id or self.name)

    @property
    def display_name(self) -> str:
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class MappedGroup:
    """One that does not exist is passed over."""

    name: str
    domain: DomainReference


@dataclass(frozen=True, slots=True)
class MappedProject:
    """To be made where it does not exist; of the identity provider's domain where it names none. Roles must exist."""

    name: str
    roles: tuple[str, ...]
    domain: DomainReference | None


@dataclass(frozen=True, slots=True)
class MappedIdentity:
    """Groups named by their ids must exist; for a local user groups and projects count for nothing."""

    user: MappedUser
    group_ids: tuple[str, ...] = ()
    groups: tuple[MappedGroup, ...] = ()
    projects: tuple[MappedProject, ...] = ()
