"""The seam to the ordered index, and LMDB behind it.

The index is only a view of the log: it is written about once a second, in one transaction that also says how much of
the log it holds. Hence LMDB at its default durability: never NOSYNC (a power loss could corrupt it), never WRITEMAP
(slower once data exceed memory, and a stray write would reach the file).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Protocol

import lmdb

from store.core.errors import DamageError, FullError
from store.engine.page_cache import lies_in_memory

RUN = 64
"""Entries of the first run of a range; each is twice as long as the one before."""
MAP_BYTES = 1 << 40
"""Address space, not disk: far above what a device's index can reach."""


class Index(Protocol):
    """Ordered bytes to bytes. Reads are quick and see the last whole `write`."""

    def watch(self, on_broken: Callable[[DamageError], None]) -> None:
        """Have it called, before the error is raised, when the index itself is found corrupt, not just a value."""
        ...

    def get(self, key: bytes) -> bytes | None: ...

    def peek(self, key: bytes) -> bytes | None:
        """The same for the event loop alone, which looks up all that is written, one key at a time."""
        ...

    def let_go(self) -> None:
        """The loop looks up what was written last from now on, and nothing before that is kept for it."""
        ...

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        """Up to `limit` entries with start <= key < stop, in order (from the upper end if `reverse`)."""
        ...

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply all changes (None deletes) in one durable transaction. Blocks; keys come sorted and once each."""
        ...

    def lies_in_memory(self) -> bool:
        """Whether no read has to wait for a disk. Blocks; may raise OSError."""
        ...

    def close(self) -> None: ...


def open_environment(folder: str) -> lmdb.Environment:
    """The LMDB environment in a folder that nobody else has open. Raises lmdb.Error.

    LMDB notes every read in its lock file, which it maps. On a file system that is frozen, or whose disk hangs, such a
    note would wait, and the event loop with it. So the lock file is one in memory: LMDB finds it by a link that is
    there only while it opens. What another process may have left in its place is of no use: a device has one owner.
    """
    lock = os.path.join(folder, "lock.mdb")
    in_memory = os.memfd_create("lock.mdb")
    try:
        with suppress(FileNotFoundError):
            os.unlink(lock)
        os.symlink(f"/proc/{os.getpid()}/fd/{in_memory}", lock)
        return lmdb.open(folder, map_size=MAP_BYTES, max_readers=64, readahead=False, meminit=False, mode=0o600)
    finally:
        os.close(in_memory)
        with suppress(FileNotFoundError):
            os.unlink(lock)


class LmdbIndex:
    """An LMDB environment in a folder of its own. Raises DamageError where LMDB finds it corrupt."""

    def __init__(self, folder: str) -> None:
        self._on_broken: Callable[[DamageError], None] = _nobody
        self._path = os.path.join(folder, "data.mdb")
        self._reader: lmdb.Transaction | None = None
        self._outdated = False
        try:
            self._env = open_environment(folder)
        except lmdb.Error as error:
            raise DamageError(f"index cannot be opened: {error}") from error

    def watch(self, on_broken: Callable[[DamageError], None]) -> None:
        self._on_broken = on_broken

    def get(self, key: bytes) -> bytes | None:
        try:
            with self._env.begin() as transaction:
                value: bytes | None = transaction.get(key)
                return value
        except lmdb.Error as error:
            raise self._broken(error) from error

    def peek(self, key: bytes) -> bytes | None:
        """By one transaction, until the index is written anew: to begin one lets go of the interpreter, and so does to
        end it; where other threads want it, that costs many times what the look-up does."""
        try:
            if self._reader is None or self._outdated:
                self.let_go()
                self._outdated = False
                self._reader = self._env.begin()
            value = self._reader.get(key)
        except lmdb.Error as error:
            raise self._broken(error) from error
        return None if value is None else bytes(value)

    def let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.abort()

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        try:
            with self._env.begin() as transaction, transaction.cursor() as cursor:
                if reverse:
                    # Stand on the last key below `stop`: one before the first at or above it, or the very last.
                    if cursor.prev() if cursor.set_range(stop) else cursor.last():
                        found = _take(cursor.iterprev(), limit, lambda key: key >= start)
                elif cursor.set_range(start):
                    found = _take(cursor.iternext(), limit, lambda key: key < stop)
        except lmdb.Error as error:
            raise self._broken(error) from error
        return found

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        try:
            listed = list(changes)
            with self._env.begin(write=True) as transaction:
                for key, value in listed:
                    if value is None:
                        transaction.delete(key)
                with transaction.cursor() as cursor:  # all in one call: the loop wants the interpreter meanwhile
                    cursor.putmulti([(key, value) for key, value in listed if value is not None])
            self._outdated = True
        except (lmdb.DiskError, lmdb.MapFullError) as error:
            raise FullError(f"index cannot grow: {error}") from error
        except lmdb.Error as error:
            raise self._broken(error) from error

    def lies_in_memory(self) -> bool:
        return lies_in_memory(self._path)

    def _broken(self, error: lmdb.Error) -> DamageError:
        damage = DamageError(f"index: {error}")
        self._on_broken(damage)
        return damage

    def close(self) -> None:
        self.let_go()
        self._env.close()


def _take(
    entries: Iterator[tuple[bytes, bytes]], limit: int, holds: Callable[[bytes], bool]
) -> list[tuple[bytes, bytes]]:
    """Up to `limit` entries, of those at the front whose key `holds`; in runs, so that no step is one of Python's."""
    found: list[tuple[bytes, bytes]] = []
    run = RUN
    while len(found) < limit:
        some = list(islice(entries, min(run, limit - len(found))))
        if not some:
            break
        if not holds(some[-1][0]):
            found += some[: bisect_left(some, True, key=lambda entry: not holds(entry[0]))]
            break
        found += some
        run *= 2
    return found


def _nobody(_damage: DamageError) -> None:
    """No device has taken this index yet."""
