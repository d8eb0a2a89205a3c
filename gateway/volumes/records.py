"""Volumes and snapshots as the registry keeps them: facts alone. What their status is, `status` says of these.

Times are microseconds since the epoch, sizes GiB. A text that is not said is None where clients see null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from store.core.codec import Codec

GIB: Final = 1024**3
Metadata = dict[str, str]


@dataclass(frozen=True, slots=True)
class Doing:
    """What is being done with a record, by a task."""

    what: str
    """The status meanwhile, such as `creating`."""
    task: str
    """The id of the task."""
    reservation: str = ""
    """Of quota, which the task commits; "" where nothing is reserved, or it has been committed."""
    counted: bool = True
    """Whether the thing itself is in use by the quota. One that is being made is only reserved."""


def overtaken(before: Doing | None, what: str, task: str) -> Doing:
    """Something else is done with a thing now: what was reserved for what was being done is this task's."""
    held, counted = (before.reservation, before.counted) if before is not None else ("", True)
    return Doing(what, task, held, counted)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Of a volume to a server or a host."""

    id: str
    state: str
    """`reserved`, `attaching` or `attached`."""
    server_id: str | None = None
    host: str | None = None
    mountpoint: str | None = None
    mode: str | None = None
    """`rw` or `ro`."""
    attached_us: int = 0
    connector: str = ""
    """JSON, "" as long as none was said."""
    project_id: str = ""
    """Whose token made it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The store's volume is called `volume-<id>`."""

    id: str
    project_id: str
    user_id: str
    name: str | None
    description: str | None
    size: int
    type_id: str
    zone: str
    created_us: int
    updated_us: int
    metadata: Metadata = field(default_factory=dict)
    image: Metadata = field(default_factory=dict)
    """What is known of the image that is in it."""
    bootable: bool = False
    readonly: bool | None = None
    """None as long as nobody said."""
    multiattach: bool = False
    snapshot_id: str | None = None
    source_id: str | None = None
    image_id: str | None = None
    group_id: str | None = None
    doing: Doing | None = None
    error: str = ""
    """The status that a task left it in that failed, such as `error_extending`; "" for none."""
    declared: str = ""
    """A status that an administrator has given it, "" for none."""
    mark: str = ""
    """What a client said it is about to do: `attaching`, `detaching`; "" for nothing. It lapses."""
    marked_us: int = 0
    transfer_id: str | None = None
    """Of the transfer that is offered."""
    attachments: tuple[Attachment, ...] = ()
    former: tuple[str, ...] = ()
    """Volumes of the store that were this one until it was taken back or made anew: those that hold snapshots of it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store's snapshot is called `snapshot-<id>`."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    name: str | None
    description: str | None
    size: int
    type_id: str
    created_us: int
    updated_us: int
    metadata: Metadata = field(default_factory=dict)
    doing: Doing | None = None
    error: str = ""
    declared: str = ""
    progress: str = ""
    """What a client said how far it is, such as `80%`; "" for nothing."""
    group_snapshot_id: str | None = None
    holder: str = ""
    """The store's volume that it is a snapshot of; "" where that is still the one of `volume_id`."""
    taken_in: str = ""
    """What the store's snapshot is called that was there before this one; "" where it is `snapshot-<id>`."""

    @property
    def store_volume(self) -> str:
        return self.holder or volume_name(self.volume_id)

    @property
    def store_snapshot(self) -> str:
        return self.taken_in or f"snapshot-{self.id}"


def export_name(attachment: str) -> str:
    """By which a host finds what it is attached to, for as long as it is."""
    return f"attachment-{attachment}"


def volume_name(id_: str) -> str:
    """Of the store's volume."""
    return f"volume-{id_}"


def pack_doing(doing: Doing | None) -> list[Any] | None:
    """For a codec."""
    return None if doing is None else [doing.what, doing.task, doing.reservation, doing.counted]


def read_doing(fields: Sequence[Any] | None) -> Doing | None:
    """What `pack_doing` made."""
    return None if fields is None else Doing(*fields)


def _attachment(one: Attachment) -> list[Any]:
    return [
        one.id, one.state, one.server_id, one.host, one.mountpoint, one.mode, one.attached_us, one.connector,
        one.project_id,
    ]  # fmt: skip


def _volume(one: Volume) -> list[Any]:
    return [
        one.id, one.project_id, one.user_id, one.name, one.description, one.size, one.type_id, one.zone,
        one.created_us, one.updated_us, json.dumps(one.metadata), json.dumps(one.image), one.bootable, one.readonly,
        one.multiattach, one.snapshot_id, one.source_id, one.image_id, one.group_id, pack_doing(one.doing), one.error,
        one.declared, one.mark, one.marked_us, one.transfer_id, [_attachment(each) for each in one.attachments],
        list(one.former),
    ]  # fmt: skip


def _read_volume(f: Sequence[Any]) -> Volume:
    attachments = tuple(Attachment(*each) for each in f[25])
    maps = json.loads(f[10]), json.loads(f[11])
    fields = [*f[:10], *maps, *f[12:19], read_doing(f[19]), *f[20:25], attachments, tuple(f[26])]
    return Volume(*fields)


def _snapshot(one: Snapshot) -> list[Any]:
    return [
        one.id, one.project_id, one.user_id, one.volume_id, one.name, one.description, one.size, one.type_id,
        one.created_us, one.updated_us, json.dumps(one.metadata), pack_doing(one.doing), one.error, one.declared,
        one.progress, one.group_snapshot_id, one.holder, one.taken_in,
    ]  # fmt: skip


def _read_snapshot(f: Sequence[Any]) -> Snapshot:
    fields = [*f[:10], json.loads(f[10]), read_doing(f[11]), *f[12:]]
    return Snapshot(*fields)


VOLUME_CODEC: Final = Codec("volume of the API", 1, _volume, {1: _read_volume})
SNAPSHOT_CODEC: Final = Codec("snapshot of the API", 1, _snapshot, {1: _read_snapshot})
