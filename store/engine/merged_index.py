"""Merged index: the index with the memory table in front of it, as one ordered map of bytes to bytes.

A key's first letter says what it is of: rows and what is derived from them (`r c x t u g q f`, store.engine.row_table),
promises (`p`, store.engine.promise_table), blocks (`d l`, store.engine.block_table), fences of data (`z`,
store.engine.data_fences), segments (`s h`, store.engine.segment_usage), what other devices lack (`w`,
store.engine.hint_table), or, with `m`, how much of the log and of the bulk data is in here: `mlog` -> msgpack [segment,
offset, seq]; `mbulk`, `mnext`.

Changes go into the memory table, and from there into the index many at a time (`freeze`, `write`, then `flushed` or
`unflushed`). Everything but `write` runs on the event loop, and nothing waits.
"""

from __future__ import annotations

from typing import Any

import msgpack

from store.core.errors import DamageError
from store.engine.index import Index
from store.engine.memtable import Generation, Memtable, Value


class MergedIndex:
    """All that a device's index holds or is about to."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._memtable = Memtable()
        self.put = self._memtable.put

    def find(self, key: bytes) -> tuple[bytes | None, bool]:
        """(the value of a key, unverified; whether it comes from the index, which may be damaged)"""
        known, value = self._memtable.get(key)
        return (value, False) if known else (self._index.peek(key), True)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, unverified."""
        return self.find(key)[0]

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        """Up to `limit` entries with start <= key < stop, in order."""
        newer = self._memtable.between(start, stop)
        if not newer:
            return self._index.range(start, stop, limit, reverse=reverse)
        # Every deletion in memory may hide one entry of the index.
        hidden = sum(value is None for value in newer.values())
        older = self._index.range(start, stop, limit + hidden, reverse=reverse)
        merged: dict[bytes, Value] = dict(older)
        if len(older) == limit + hidden:
            # The index has more behind its last: what memory has beyond that must wait for the next page.
            last = older[-1][0]
            merged.update((k, v) for k, v in newer.items() if (k >= last if reverse else k <= last))
        else:
            merged.update(newer)
        entries = [(key, value) for key in sorted(merged, reverse=reverse) if (value := merged[key]) is not None]
        return entries[:limit]

    def set_position(self, name: bytes, position: tuple[int, ...]) -> None:
        """Say how much of something this index holds."""
        self.put(b"m" + name, msgpack.packb(position))

    def position(self, name: bytes) -> tuple[int, ...] | None:
        """What was said last. Raises DamageError."""
        value = self.get(b"m" + name)
        return None if value is None else tuple(unpack(value))

    # -- into the index ------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> int:
        """Changes that the index does not hold yet."""
        return len(self._memtable.active.entries)

    @property
    def unwritten(self) -> int:
        """The same with those that are on their way into it."""
        return len(self._memtable.active.entries) + len(self._memtable.flushing.entries)

    def freeze(self) -> Generation:
        """Everything up to now, ready to be written."""
        return self._memtable.freeze()

    def write(self, frozen: Generation) -> None:
        """Write a frozen generation in one transaction. Blocks: in a worker."""
        entries = frozen.entries
        self._index.write((key, entries[key]) for key in sorted(entries))

    def flushed(self) -> None:
        """It is written."""
        self._index.let_go()
        self._memtable.flushed()

    def unflushed(self) -> None:
        """It could not be."""
        self._memtable.unflushed()


def unpack(value: bytes) -> Any:
    """What a value in msgpack says. Raises DamageError where it cannot be read."""
    try:
        return msgpack.unpackb(value, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DamageError(f"a derived value of the index cannot be read: {error}") from error
