"""What all records have, and how one is stored: a kind's word in keys, its versioned form, whom its changes concern."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from store.core.codec import Codec
from store.core.entropy import Random


class Record(Protocol):
    """What all records have."""

    @property
    def id(self) -> str: ...

    @property
    def unique_name(self) -> tuple[str, str] | None:
        """The realm (a domain, an owner) and the name that no other record of the kind may have; None where names may
        repeat."""
        ...


class Concerns(Enum):
    """Whose tokens a change of a record may end or change."""

    NOBODY = "nobody"
    ITSELF = "itself"
    """Those that name the record's id."""
    EVERYBODY = "everybody"


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A kind of record."""

    name: str
    """Its word in keys."""
    noun: str
    """What messages call it."""
    codec: Codec[R]
    concerns: Concerns = Concerns.NOBODY


def record_codec(name: str, make: Callable[..., R], version: int = 1) -> Codec[R]:
    """The form of a dataclass whose fields are stored in their order. Fields are only ever added, at the end and with
    a default, each time with a new version: so every older one is read by the same line."""
    return Codec(
        name,
        version,
        lambda record: tuple(getattr(record, field.name) for field in dataclasses.fields(record)),  # type: ignore[arg-type]
        {known: lambda fields: make(*fields) for known in range(1, version + 1)},
        tuples=True,
    )


def new_id(random: Random) -> str:
    """The id of a new record: a random UUID's digits."""
    raw = bytearray(random.bytes(16))
    raw[6] = raw[6] & 0x0F | 0x40  # the version and variant bits of RFC 9562, which some clients check
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()


ID_CHARACTERS_MAX: Final = 255
"""Of an id that clients choose themselves (regions, identity providers, mappings)."""
