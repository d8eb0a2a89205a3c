"""The public client of volumes: all that a tenant (the image registry, the volume API, servers) may ask of them.

`drystone.volumes.Volumes` keeps this contract over devices, `tests/twins/volumes.py` in memory.

Errors are those of `store.core.errors`: NotFoundError, ConflictError, InvalidError (a size, a name, a policy), and
RetryableError and its kinds where the system cannot now. What raised a RetryableError may or may not have happened.
Volumes have unique names (`check_name`), sizes are bytes, multiples of 4 KiB.
"""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from store.blocks.disk import Disk
from store.core.errors import InvalidError

NAME_MAX: Final = 128
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class VolumeRow(NamedTuple):
    """What is told of a volume. `stored_bytes` is what its log takes, in each copy. `connections` are those to this
    process, None where it is not open here. `epoch` counts how often it was opened. It can be taken back by as much as
    `window_us`. Of one that is open, or was not closed in good order, `holder` is the node, since a time."""

    name: str
    size: int
    policy: str
    stored_bytes: int
    epoch: int
    connections: int | None
    window_us: int
    holder: str
    since_us: int


class SnapshotRow(NamedTuple):
    """What is told of a snapshot: when it was made, in microseconds, and how many clones there are of it."""

    name: str
    size: int
    created_us: int
    clones: int


class Changed(NamedTuple):
    """A range of bytes, of whole blocks of 4 KiB."""

    offset: int
    length: int


class VolumeStore(Protocol):
    """Volumes by name."""

    async def create(self, name: str, size: int, policy: str, window_us: int = 0) -> None:
        """An empty volume, which can be taken back to any time of a window in microseconds; `policy` "" is the default
        one, and one that codes what it keeps is refused. Raises ConflictError where there is one of this name."""
        ...

    async def row(self, name: str) -> VolumeRow:
        """Raises NotFoundError."""
        ...

    async def rows(self, after: str, limit: int) -> list[VolumeRow]:
        """Of the volumes behind `after`, in the order of their names."""
        ...

    async def resize(self, name: str, size: int) -> None:
        """Have a volume larger, while it is in use, too. Raises InvalidError where it were smaller."""
        ...

    async def rename(self, name: str, new: str) -> None:
        """Give a volume another name, while it is in use, too."""
        ...

    async def delete(self, name: str, *, force: bool, take_over: bool = False, keep_us: int = 0) -> bytes:
        """Delete a volume and all that is in it, in constant time but for what is given back; clones of its snapshots
        go on. ConflictError where clients have it open, unless by `force`: then they are cut off."""
        ...

    async def snapshots(self, name: str) -> list[SnapshotRow]:
        """Of the snapshots of a volume, in the order of their names."""
        ...

    async def snapshot(self, name: str, snapshot: str, time_us: int | None = None, *, take_over: bool = False) -> None:
        """Keep what a volume is now, while it is in use, too; or was at a time of its window. Takes constant time."""
        ...

    async def rewind(self, name: str, time_us: int, *, take_over: bool = False) -> tuple[str, str]:
        """Have a volume be what it was at a time of its window: (the snapshot that was made for it, the name of a
        volume that is what this one was until now). ConflictError where it is in use."""
        ...

    async def delete_snapshot(self, name: str, snapshot: str) -> None:
        """Clones of it go on."""
        ...

    async def changed(
        self, name: str, since: str, snapshot: str, offset: int, length: int, limit: int
    ) -> list[Changed]:
        """Where a range of bytes of a snapshot may differ from an older snapshot of the volume, in order: up to `limit`
        of these; as many say that there may be more behind the last. All else is the same in both, and what the older
        one is too short for was zeros. Costs what changed: data are not read. NotFoundError where one of the snapshots
        is none of this volume, IndexError where the range does not lie in the newer one."""
        ...

    async def clone(self, name: str, snapshot: str, new: str, size: int | None, window_us: int | None = None) -> None:
        """A volume that begins as a snapshot, of its size or larger, with a window of its own or that of the volume.
        Copies nothing, takes constant time."""
        ...

    async def flatten(self, name: str, *, take_over: bool = False) -> None:
        """Have a clone need nothing any more of what it was made of."""
        ...

    async def flush(self, name: str) -> int:
        """Have durable all that a volume's writes were answered. The epoch that it is open under."""
        ...

    def open(self, name: str) -> AbstractAsyncContextManager[Disk]:
        """A volume to be read and written; VOLUME@SNAPSHOT is a snapshot, to be read."""
        ...


def check_name(name: str) -> None:
    """Raises InvalidError for what cannot be the name of a volume: it is part of URIs, and typed in shells."""
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise InvalidError(
            f"a volume's name has 1 to {NAME_MAX} letters, digits, '.', '_' and '-', and begins with a letter or digit:"
            f" not {name!r}"
        )
