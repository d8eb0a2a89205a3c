"""Who there is: domains, projects, users, groups and the roles they may hold.

Ids are the 32 hexadecimal digits of a UUID, but for the domain `default`, whose id stock clients know by heart, and for
users and groups of a directory (LDAP), who have 64.

`options` and `extra` are JSON objects: the options that keystone names (`immutable` ...), and what clients stored
along. An `epoch` is raised when the record's tokens must end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authn.records.kind import Concerns, Kind, record_codec

DEFAULT_DOMAIN: Final = "default"


@dataclass(frozen=True, slots=True)
class Domain:
    """A realm of names."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    epoch: int = 0
    options: str = "{}"
    tags: tuple[str, ...] = ()
    extra: str = "{}"

    @property
    def unique_name(self) -> tuple[str, str]:
        return "", self.name


@dataclass(frozen=True, slots=True)
class Project:
    """What owns things. `parent_id` is "" right below its domain."""

    id: str
    name: str
    domain_id: str = DEFAULT_DOMAIN
    description: str = ""
    enabled: bool = True
    epoch: int = 0
    extra: str = "{}"
    parent_id: str = ""
    options: str = "{}"
    tags: tuple[str, ...] = ()

    @property
    def unique_name(self) -> tuple[str, str]:
        return self.domain_id, self.name


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. An empty `password_hash` lets nobody in."""

    id: str
    name: str
    domain_id: str = DEFAULT_DOMAIN
    password_hash: str = ""
    description: str = ""
    enabled: bool = True
    epoch: int = 0
    default_project_id: str = ""
    extra: str = "{}"
    options: str = "{}"
    password_set_s: int = 0
    """When the password was set, in seconds; 0: not known."""
    former_hashes: tuple[str, ...] = ()
    """Of the passwords before, the latest first."""
    federated: tuple[tuple[str, str, str], ...] = ()
    """Identity provider, protocol, and the id there; nobody else has the same three."""
    directory_id: str = ""
    """Of a user who is in the domain's directory: the id there. Then this is what is kept of them here."""
    password_expires_s: int = 0
    """When the password lets nobody in any more, in seconds; 0: never."""
    password_own: bool = False
    """Whether the user has set the password, and not an administrator."""
    failures: int = 0
    """Wrong passwords in a row, where they are counted."""
    failed_us: int = 0
    """When the last of them came, in microseconds."""
    active_day: int = 0
    """The day on which the user last logged in by themselves, in days since the epoch (UTC), where that is looked
    after; 0: not known."""
    stated_groups: tuple[tuple[str, int, str, int], ...] = ()
    """Groups here that identity providers have lately put the user into: provider, its epoch, group, when it was said
    (in seconds). Each holds for the provider's `authorization_ttl`."""

    @property
    def unique_name(self) -> tuple[str, str] | None:
        # The directory says whose a name is now; what is remembered here may be a name of yesterday. Who has no
        # password is never looked up by name, and others choose the names of those they vouch for: with one that is
        # taken they must not be kept out, nor keep anybody out.
        if self.directory_id or (self.federated and not self.password_hash):
            return None
        return self.domain_id, self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Users who are given roles together."""

    id: str
    name: str
    domain_id: str = DEFAULT_DOMAIN
    description: str = ""
    extra: str = "{}"
    directory_id: str = ""
    """Of a group of the domain's directory: the id there."""

    @property
    def unique_name(self) -> tuple[str, str] | None:
        return None if self.directory_id else (self.domain_id, self.name)


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody may be in a project, a domain or the system. `implies` are ids of roles that come with it."""

    id: str
    name: str
    description: str = ""
    implies: tuple[str, ...] = ()
    domain_id: str = ""
    """The only domain that it can be held in; "" for everywhere."""
    options: str = "{}"
    extra: str = "{}"

    @property
    def unique_name(self) -> tuple[str, str]:
        # The object API compares roles without regard to case: "Admin" beside "admin" would be the same to it.
        return self.domain_id, self.name.casefold()


DOMAIN: Final[Kind[Domain]] = Kind("domain", "domain", record_codec("domain", Domain, 2), Concerns.EVERYBODY)
PROJECT: Final[Kind[Project]] = Kind("project", "project", record_codec("project", Project, 2), Concerns.ITSELF)
USER: Final[Kind[User]] = Kind("user", "user", record_codec("user", User, 5), Concerns.ITSELF)
GROUP: Final[Kind[Group]] = Kind("group", "group", record_codec("group", Group, 2), Concerns.EVERYBODY)
ROLE: Final[Kind[Role]] = Kind("role", "role", record_codec("role", Role, 2), Concerns.EVERYBODY)
