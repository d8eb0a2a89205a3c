"""What the registry keeps of images. Fields are only ever added, at the end and with a default, each time with a new
version of the codec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from store.core.codec import Codec


class Status(StrEnum):
    """What an image's record says. What clients are told may be more: see `Image.status`."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    """Its bits are staged, and wait for the import."""
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


class Visibility(StrEnum):
    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Bits:
    """The bytes of an image: an object of the store, and what they are."""

    object: str
    """Its name in the container of its store."""
    store: str
    """The storage policy that keeps it: what Glance calls a store."""
    size: int
    md5: str
    sha512: str


class MemberStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Member:
    """A project that an image is shared with."""

    project_id: str
    created_us: int
    updated_us: int
    status: MemberStatus = MemberStatus.PENDING


class Receiving(StrEnum):
    """Why bits are received: as clients are told it."""

    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object that is being received, or that nobody needs any more: as long as this record is there, no image has
    it. Whoever finds it without a living owner deletes the object."""

    object: str
    store: str
    owner: str
    """The process that receives it; "" where it is to go."""
    kind: Receiving = Receiving.SAVING


@dataclass(frozen=True, slots=True)
class Image:
    """An image. Times are in microseconds since the epoch."""

    id: str
    owner: str
    created_us: int
    updated_us: int
    name: str | None = None
    status: Status = Status.QUEUED
    visibility: Visibility = Visibility.SHARED
    container_format: str | None = None
    disk_format: str | None = None
    min_disk: int = 0
    """GiB."""
    min_ram: int = 0
    """MiB."""
    protected: bool = False
    hidden: bool = False
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[Bits, ...] = ()
    """Of its bits, all alike, in different stores; none before it is active."""
    virtual_size: int | None = None
    """Of the disk that it is, in bytes; None where the bits do not say."""
    staged: Bits | None = None
    receiving: Incoming | None = None
    """Bits that are being received, as long as whoever receives them lives."""
    task: str = ""
    """That imports it."""
    sealed: str = ""
    """The volume that has its disk, ready to be cloned; "" where there is none yet."""
    counted_mib: int = 0
    """What its owner's quota counts for it."""
    members: tuple[Member, ...] = ()
    """Whom it is shared with."""
    staged_mib: int = 0
    """What its owner's quota counts for what is staged."""
    sealing: str = ""
    """The task that makes its volume."""
    seal_error: str = ""
    """Why no volume can be made of it."""
    importing_to: str | None = None
    """The stores that an import has yet to do, comma-separated; None where there never was one."""
    failed_import: str | None = None
    """Those that the last import failed for."""
    hash_algorithm: str = "sha512"
    """Of the hash that clients are told: another where somebody said which hash the bits have to have."""
    hash_value: str = ""
    """"" for that of the bits by SHA-512."""

    @property
    def bits(self) -> Bits | None:
        return self.copies[0] if self.copies else None


def _bits(bits: Bits) -> list[Any]:
    return [bits.object, bits.store, bits.size, bits.md5, bits.sha512]


def _incoming(one: Incoming) -> list[Any]:
    return [one.object, one.store, one.owner, one.kind]


def _read_incoming(fields: Any) -> Incoming:
    return Incoming(fields[0], fields[1], fields[2], Receiving(fields[3]))


def _image(image: Image) -> list[Any]:
    return [
        image.id,
        image.owner,
        image.created_us,
        image.updated_us,
        image.name,
        image.status,
        image.visibility,
        image.container_format,
        image.disk_format,
        image.min_disk,
        image.min_ram,
        image.protected,
        image.hidden,
        list(image.tags),
        json.dumps(image.properties),
        [_bits(bits) for bits in image.copies],
        image.virtual_size,
        None if image.staged is None else _bits(image.staged),
        None if image.receiving is None else _incoming(image.receiving),
        image.task,
        image.sealed,
        image.counted_mib,
        [[one.project_id, one.created_us, one.updated_us, one.status] for one in image.members],
        image.staged_mib,
        image.sealing,
        image.seal_error,
        image.importing_to,
        image.failed_import,
        image.hash_algorithm,
        image.hash_value,
    ]


def _read_image(fields: Any) -> Image:
    status, visibility, tags, properties = Status(fields[5]), Visibility(fields[6]), tuple(fields[13]), fields[14]
    copies, staged = tuple(Bits(*bits) for bits in fields[15]), None if fields[17] is None else Bits(*fields[17])
    members = tuple(Member(one[0], one[1], one[2], MemberStatus(one[3])) for one in fields[22])
    receiving = None if fields[18] is None else _read_incoming(fields[18])
    return Image(
        fields[0],
        fields[1],
        fields[2],
        fields[3],
        fields[4],
        status,
        visibility,
        fields[7],
        fields[8],
        fields[9],
        fields[10],
        fields[11],
        fields[12],
        tags,
        json.loads(properties) if properties != "{}" else {},
        copies,
        fields[16],
        staged,
        receiving,
        fields[19],
        fields[20],
        fields[21],
        members,
        fields[23],
        fields[24],
        fields[25],
        fields[26],
        fields[27],
        *fields[28:],
    )


IMAGE_CODEC: Final = Codec("image", 2, _image, {1: _read_image, 2: _read_image})
INCOMING_CODEC: Final = Codec(
    "incoming image",
    1,
    _incoming,
    {1: _read_incoming},
)
