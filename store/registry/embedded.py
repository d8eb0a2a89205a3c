"""The registry in one LMDB file of one process: what was acknowledged survives a crash of program or machine.

LMDB runs at its default durability: a commit has synced the data before it writes the root that makes them seen.
Commits run in a worker thread; reads are a walk through mapped memory and run in place.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

import lmdb
import trio

from store.core.clock import Clock
from store.core.codec import Codec
from store.core.errors import ConflictError, DamageError, DeviceError, FullError
from store.registry.history import HISTORY_EVENTS
from store.registry.items import KEY_BYTES_MAX, Item, Span
from store.registry.local import Commit, LocalRegistry

FORMAT: Final = 1
MAP_BYTES: Final = 8 * 1024**3
"""The file can grow to this; it takes space as it fills. Past it, writes are refused with FullError."""

_FORMAT = b"format"
_REVISION = b"revision"
_LAST_LEASE = b"last-lease"
_NUMBER: Final = struct.Struct(">Q")

_StoredItem = tuple[bytes, int, int, int, int]
_ITEM: Final = Codec[_StoredItem](
    "registry item",
    1,
    fields=lambda item: item,
    readers={1: lambda fields: (fields[0], fields[1], fields[2], fields[3], fields[4])},
)
"""Value, create_revision, mod_revision, version, lease."""


@contextmanager
def open_embedded(
    path: str,
    clock: Clock,
    *,
    history_events: int = HISTORY_EVENTS,
    map_bytes: int = MAP_BYTES,
    first_revision: int = 1,
) -> Iterator[LocalRegistry]:
    """The registry in the directory `path`, which is made if it is missing. Leases that lived when it was last closed
    begin their ttl anew. One that is made begins at
    `first_revision`, and gives out higher ids of leases only. The caller starts its `run`.

    Raises ConflictError while another process has it open, DamageError where it is damaged, or of a format that is not
    known here.
    """
    with _owned(path), LmdbBackend.opened(path, map_bytes, first_revision) as backend:
        yield LocalRegistry(backend, clock, history_events=history_events)


@contextmanager
def _owned(path: str) -> Iterator[None]:
    """LMDB itself would let several processes write, each with its own memory of leases and watchers: none would be
    right."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(path, "owner"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"the registry in {path} is open in another process") from None
        yield
    finally:
        os.close(lock)


class LmdbBackend:
    """See Backend. Sub-databases: `items` (key to value, revisions, version, lease), `leases` (id to ttl), `meta`."""

    def __init__(self, environment: lmdb.Environment, first_revision: int = 1) -> None:
        self._environment = environment
        self._failed: lmdb.Error | None = None
        self._items = environment.open_db(b"items")
        self._leases = environment.open_db(b"leases")
        self._meta = environment.open_db(b"meta")
        with environment.begin(write=True) as transaction:
            found = transaction.get(_FORMAT, db=self._meta)
            if found is None:
                transaction.put(_FORMAT, _NUMBER.pack(FORMAT), db=self._meta)
                transaction.put(_REVISION, _NUMBER.pack(first_revision), db=self._meta)
                transaction.put(_LAST_LEASE, _NUMBER.pack(first_revision - 1), db=self._meta)
            elif found != _NUMBER.pack(FORMAT):
                raise DamageError(f"registry: format {found.hex()} is not known here (known: {FORMAT})")

    @classmethod
    @contextmanager
    def opened(cls, path: str, map_bytes: int, first_revision: int = 1) -> Iterator[LmdbBackend]:
        try:
            environment = lmdb.open(path, map_size=map_bytes, max_dbs=3, mode=0o600)
        except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
            raise DamageError(f"the registry in {path} is damaged: {error}") from error
        try:
            yield cls(environment, first_revision)
        finally:
            environment.close()

    def get(self, key: bytes) -> Item | None:
        with self._environment.begin(db=self._items) as transaction:
            packed = transaction.get(key)
            return None if packed is None else _item(key, packed)

    def range(self, span: Span, limit: int | None = None, reverse: bool = False) -> Iterable[Item]:
        with self._environment.begin(db=self._items, buffers=True) as transaction, transaction.cursor() as cursor:
            walk = _backward(cursor, span) if reverse else _forward(cursor, span)
            return [_item(key, packed) for key, packed in islice(walk, limit)]

    def revision(self) -> int:
        return self._number(_REVISION)

    def leases(self) -> dict[int, int]:
        with self._environment.begin(db=self._leases) as transaction, transaction.cursor() as cursor:
            return {_NUMBER.unpack(lease)[0]: _NUMBER.unpack(ttl_s)[0] for lease, ttl_s in cursor}

    def last_lease(self) -> int:
        return self._number(_LAST_LEASE)

    async def commit(self, commit: Commit) -> None:
        if self._failed is not None:
            raise DeviceError(f"the registry's file failed before: {self._failed}")
        await trio.to_thread.run_sync(self._commit, commit)

    def _commit(self, commit: Commit) -> None:
        try:
            with self._environment.begin(write=True) as transaction:
                self._write(transaction, commit)
        except (lmdb.MapFullError, lmdb.DiskError) as error:
            raise FullError(f"the registry's file cannot grow: {error}") from error
        except lmdb.Error as error:
            # It is not known what the file holds now; only opening it anew can tell.
            self._failed = error
            raise DeviceError(f"the registry's file failed: {error}") from error

    def _write(self, transaction: lmdb.Transaction, commit: Commit) -> None:
        for change in commit.changes:
            item = change.item
            if item is None:
                transaction.delete(change.key, db=self._items)
            else:
                stored = (item.value, item.create_revision, item.mod_revision, item.version, item.lease)
                transaction.put(item.key, _ITEM.encode(stored), db=self._items)
        if commit.granted is not None:
            lease, ttl_s = map(_NUMBER.pack, commit.granted)
            transaction.put(lease, ttl_s, db=self._leases)
            transaction.put(_LAST_LEASE, lease, db=self._meta)
        if commit.ended is not None:
            transaction.delete(_NUMBER.pack(commit.ended), db=self._leases)
        transaction.put(_REVISION, _NUMBER.pack(commit.revision), db=self._meta)

    def _number(self, name: bytes) -> int:
        with self._environment.begin(db=self._meta) as transaction:
            number: int = _NUMBER.unpack(transaction.get(name) or b"")[0]
            return number


def _item(key: bytes, packed: bytes | memoryview) -> Item:
    return Item(key, *_ITEM.decode(packed))


def _seek(cursor: lmdb.Cursor, bound: bytes) -> bool:
    """Goes to the first key at or after `bound`, which may be empty or one byte longer than any key."""
    if not bound:
        return cursor.first()
    found = cursor.set_range(bound[:KEY_BYTES_MAX])
    if len(bound) > KEY_BYTES_MAX and cursor.key() == bound[:KEY_BYTES_MAX]:
        found = cursor.next()
    return found


def _forward(cursor: lmdb.Cursor, span: Span) -> Iterator[tuple[bytes, bytes | memoryview]]:
    found = _seek(cursor, span.start)
    while found and span.holds(key := bytes(cursor.key())):
        yield key, cursor.value()
        found = cursor.next()


def _backward(cursor: lmdb.Cursor, span: Span) -> Iterator[tuple[bytes, bytes | memoryview]]:
    # The first key at or after the end, then one back; without such a key, the last of all.
    found = cursor.prev() if span.end is not None and _seek(cursor, span.end) else cursor.last()
    while found and span.holds(key := bytes(cursor.key())):
        yield key, cursor.value()
        found = cursor.prev()
