"""Usage: how many live rows a shard has, and how many bytes, by policy. Kept with each change of a row.

c...   usage of a shard    `c` + shard prefix -> msgpack {policy: [rows, bytes]}

A count that cannot be believed any more (its value is damaged, or a row over whose damaged entry another was written)
is made anew in slices, while rows go on to change; nobody is given it meanwhile. Until that is done the index holds a
value that nobody can read, so that a crash in between does not leave the old one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgpack
import trio

from store.core.errors import DamageError
from store.device.row import SYSTEM, decode_value, shard_stop, verify_value
from store.engine.merged_index import MergedIndex, unpack

CACHE_MAX = 100_000
"""Shards whose counts are kept in memory."""
SLICE = 256
"""Rows that are counted between two turns of the loop."""
_UNKNOWN = b"\xc1"
"""No msgpack."""


def usage_key(prefix: bytes) -> bytes:
    """The index key of a shard's counts."""
    return b"c" + prefix


class Usage:
    """The counts of all shards of one device."""

    def __init__(self, index: MergedIndex, on_damage: Callable[[bytes, str], None]) -> None:
        self._index = index
        self._on_damage = on_damage
        self._counts: dict[bytes, dict[int, list[int]]] = {}
        self._dirty: set[bytes] = set()
        self._counted: dict[bytes, bytes] = {}
        """Of shards that are being counted anew, the key up to which that is done."""

    def of(self, prefix: bytes) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows. Raises DamageError while they are counted anew."""
        counts = self._load(prefix)
        if prefix in self._counted:
            raise DamageError("the rows of this shard are being counted anew")
        return {policy: (rows, size) for policy, (rows, size) in counts.items() if rows or size}

    def add(self, prefix: bytes, packed: bytes, policy: int, rows: int, size: int) -> None:
        """So many live rows and bytes more, or fewer: the row of this key has changed."""
        counts = self._counts.get(prefix)
        if counts is None:
            counts = self._load(prefix)
        if not self._counted or packed <= self._counted.get(prefix, packed):
            entry = counts.setdefault(policy, [0, 0])
            entry[0] += rows
            entry[1] += size
        self._dirty.add(prefix)

    def spoil(self, prefix: bytes) -> None:
        """The count is wrong, by nobody knows how much."""
        self._counts[prefix] = {}
        self._counted[prefix] = prefix
        self._index.put(usage_key(prefix), _UNKNOWN)

    def _load(self, prefix: bytes) -> dict[int, list[int]]:
        counts = self._counts.get(prefix)
        if counts is None:
            value = self._index.get(usage_key(prefix))
            try:
                counts = self._counts[prefix] = {} if value is None else unpack(value)
            except DamageError as error:
                self.spoil(prefix)
                counts = self._counts[prefix]
                self._on_damage(b"", f"usage of a shard: {error}")
        return counts

    async def recount(self) -> None:
        """Count anew what has to be."""
        while self._counted:
            await self._recount(next(iter(self._counted)))

    async def _recount(self, prefix: bytes) -> None:
        stop = shard_stop(prefix)
        while page := self._index.range(self._counted[prefix] + b"\0", stop, SLICE):
            counts = self._counts[prefix]
            for key, value in page:
                try:
                    verify_value(key, value)
                except DamageError as error:
                    self._on_damage(key, str(error))
                    continue
                row = decode_value(key, value)
                if row.live and row.name[:1] != SYSTEM:
                    entry = counts.setdefault(row.policy, [0, 0])
                    entry[0] += 1
                    entry[1] += row.size
            self._counted[prefix] = page[-1][0]
            await trio.lowlevel.checkpoint()
        del self._counted[prefix]
        self._dirty.add(prefix)

    def note(self) -> None:
        """Put the counts that have changed into the index, which is about to be written."""
        for prefix in self._dirty - self._counted.keys():
            counts = {policy: entry for policy, entry in self._counts[prefix].items() if entry[0] or entry[1]}
            self._index.put(usage_key(prefix), msgpack.packb(counts) if counts else None)
        self._dirty &= self._counted.keys()
        if len(self._counts) > CACHE_MAX:
            self._counts = {prefix: self._counts[prefix] for prefix in self._counted}
