"""A snapshot of the registry: every item that stays, as it was at one moment, in one file.

It is the same whoever keeps the registry, so that any form of it can be made anew from any snapshot. What is bound to a
lease (who lives, tokens to join) is left out: it would have ended by then. A file is a versioned value (see
store.core.codec) and its XXH3-64 behind it. It holds the authority's key and what users are known by: only its owner
may read it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from drystone.folder import sync_folder
from store.core.checked import checked, verified
from store.core.clock import Clock
from store.core.codec import Codec
from store.core.errors import DamageError, DeviceError, NotFoundError
from store.registry import Put, Registry, Span
from store.registry.operations import OPERATIONS_MAX, TRANSACTION_BYTES_MAX

NEW: Final = ".new"
"""What is behind the name of a file that is being written."""

Entry = tuple[bytes, bytes]
"""A key and its value."""


@dataclass(frozen=True)
class Snapshot:
    """Of the cluster with this id, taken at this wall time. `revision` is none below that of any item."""

    cluster: bytes
    taken_us: int
    revision: int
    items: tuple[Entry, ...]


async def take_snapshot(registry: Registry, cluster: bytes, clock: Clock) -> Snapshot:
    items = await registry.range(Span.prefix(b""))
    kept = tuple((item.key, item.value) for item in items if not item.lease)
    return Snapshot(cluster, clock.wall_us(), await registry.revision(), kept)


async def put_all(registry: Registry, items: Iterable[Entry]) -> None:
    """So many together as a transaction takes."""
    batch: list[Put] = []
    size = 0
    for key, value in items:
        more = len(key) + len(value)
        if len(batch) == OPERATIONS_MAX or (batch and size + more > TRANSACTION_BYTES_MAX):
            await registry.transact([], batch)
            batch, size = [], 0
        batch.append(Put(key, value))
        size += more
    if batch:
        await registry.transact([], batch)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    return checked(_SNAPSHOT.encode(snapshot))


def read_snapshot(path: str) -> Snapshot:
    """Raises NotFoundError, DeviceError where it cannot be read, DamageError where it is not what was written."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise NotFoundError(f"there is no snapshot {path}") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror or error}") from error
    return _SNAPSHOT.decode(verified(data, path))


def write_snapshot(path: str, packed: bytes) -> None:
    """Durable when this returns; a file that was there before is replaced then, and stays whatever goes wrong. Raises
    DeviceError."""
    new = path + NEW
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_folder(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        raise DeviceError(f"the snapshot {path} cannot be written: {error.strerror or error}") from error


def _read_1(fields: Sequence[Any]) -> Snapshot:
    cluster, taken_us, revision, items = fields
    if not (isinstance(cluster, bytes) and isinstance(taken_us, int) and isinstance(revision, int)):
        raise DamageError("snapshot of the registry: wrong fields")
    return Snapshot(cluster, taken_us, revision, tuple((key, value) for key, value in items))


_SNAPSHOT: Final = Codec[Snapshot](
    "snapshot of the registry",
    1,
    lambda snapshot: (snapshot.cluster, snapshot.taken_us, snapshot.revision, snapshot.items),
    {1: _read_1},
)
