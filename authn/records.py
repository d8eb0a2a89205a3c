"""What identity remembers: domains, projects, users, roles, services, endpoints; and how each is stored.

Ids are the 32 hexadecimal digits of a UUID, but for the domain `default`, whose id stock clients know by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from store.core.codec import Codec
from store.core.entropy import Random

DEFAULT_DOMAIN: Final = "default"


class Record(Protocol):
    """What all records have."""

    @property
    def id(self) -> str: ...

    @property
    def unique_name(self) -> tuple[str, str] | None:
        """The domain and the name that no other record of the kind may have; None where names may repeat."""
        ...


@dataclass(frozen=True, slots=True)
class Domain:
    """A realm of names. There is one, `default`."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True

    @property
    def unique_name(self) -> tuple[str, str]:
        return "", self.name


@dataclass(frozen=True, slots=True)
class Project:
    """What owns things. `epoch` is raised when its tokens must end; `extra` is what clients stored along, as JSON."""

    id: str
    name: str
    domain_id: str = DEFAULT_DOMAIN
    description: str = ""
    enabled: bool = True
    epoch: int = 0
    extra: str = "{}"

    @property
    def unique_name(self) -> tuple[str, str]:
        return self.domain_id, self.name


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. An empty `password_hash` lets nobody in. `epoch` is raised when the user's tokens must end."""

    id: str
    name: str
    domain_id: str = DEFAULT_DOMAIN
    password_hash: str = ""
    description: str = ""
    enabled: bool = True
    epoch: int = 0
    default_project_id: str = ""
    extra: str = "{}"

    @property
    def unique_name(self) -> tuple[str, str]:
        return self.domain_id, self.name


@dataclass(frozen=True, slots=True)
class Role:
    """What a user may be in a project. `implies` are ids of roles that come with it, one step deep."""

    id: str
    name: str
    description: str = ""
    implies: tuple[str, ...] = ()

    @property
    def unique_name(self) -> tuple[str, str]:
        # The object API compares roles without regard to case: "Admin" beside "admin" would be the same to it.
        return "", self.name.casefold()


@dataclass(frozen=True, slots=True)
class Service:
    """A line of the catalogue."""

    id: str
    type: str
    name: str
    description: str = ""
    enabled: bool = True

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is. `url` may hold `%(project_id)s`; one that begins with `/` is on the host that was asked."""

    id: str
    service_id: str
    interface: str
    url: str
    region: str
    enabled: bool = True

    @property
    def unique_name(self) -> None:
        return None


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A kind of record: its word in keys and its stored form."""

    name: str
    codec: Codec[R]


def _role(fields: Any) -> Role:
    id_, name, description, implies = fields
    return Role(id_, name, description, tuple(implies))


DOMAIN: Final[Kind[Domain]] = Kind(
    "domain", Codec("domain", 1, lambda d: (d.id, d.name, d.description, d.enabled), {1: lambda f: Domain(*f)})
)
PROJECT: Final[Kind[Project]] = Kind(
    "project",
    Codec(
        "project",
        1,
        lambda p: (p.id, p.name, p.domain_id, p.description, p.enabled, p.epoch, p.extra),
        {1: lambda f: Project(*f)},
    ),
)
USER: Final[Kind[User]] = Kind(
    "user",
    Codec(
        "user",
        1,
        lambda u: (
            u.id,
            u.name,
            u.domain_id,
            u.password_hash,
            u.description,
            u.enabled,
            u.epoch,
            u.default_project_id,
            u.extra,
        ),
        {1: lambda f: User(*f)},
    ),
)
ROLE: Final[Kind[Role]] = Kind("role", Codec("role", 1, lambda r: (r.id, r.name, r.description, r.implies), {1: _role}))
SERVICE: Final[Kind[Service]] = Kind(
    "service",
    Codec("service", 1, lambda s: (s.id, s.type, s.name, s.description, s.enabled), {1: lambda f: Service(*f)}),
)
ENDPOINT: Final[Kind[Endpoint]] = Kind(
    "endpoint",
    Codec(
        "endpoint",
        1,
        lambda e: (e.id, e.service_id, e.interface, e.url, e.region, e.enabled),
        {1: lambda f: Endpoint(*f)},
    ),
)


def new_id(random: Random) -> str:
    """The id of a new record: a random UUID's digits."""
    raw = bytearray(random.bytes(16))
    raw[6] = raw[6] & 0x0F | 0x40  # the version and variant bits of RFC 9562, which some clients check
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()
