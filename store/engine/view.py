"""The view: what a device's log says, as its index and memory table hold it. All on the event loop, nothing waits.

`apply` is the one place where a row changes, in normal work and in replay alike: the order of the log decides, so a
replay comes to the same view. With each row it keeps what is derived from rows, in the same step and hence in the same
index transaction:

    r...   the row itself                        (store.engine.row)
    d...   a data block                          (store.engine.block)
    l...   how many blocks share a payload       (store.engine.block)
    h...   records whose space is to come back   `h` + segment, offset (4, big-endian, each) -> length (4, big-endian)
    c...   usage of a shard by policy            `c` + shard prefix -> msgpack {policy: [objects, bytes]}
    x...   rows that expire                      `x` + expires (8, big-endian) + row key -> empty
    t...   tombstones                            `t` + row key -> stamp (12)
    u...   marks of uploads under way            `u` + data id -> row key of the mark
    g...   data that a newer row displaced       `g` + data id -> msgpack [place, table, shard, name, policy, summary]
    s...   live bytes of a segment               `s` + id (8, big-endian) -> msgpack [kind, live]
    m...   what of the log this view holds       `mlog` -> msgpack [segment, offset, seq]; `mbulk`, `mnext`
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgpack

from store.core.errors import DamageError
from store.engine import block as blocks
from store.engine.block import BlockKey, IndexBlock
from store.engine.index import Index
from store.engine.memtable import Generation, Memtable
from store.engine.row import (
    NAME_KEY_BYTES,
    PREFIX_BYTES,
    SYSTEM,
    Flag,
    IndexRow,
    Location,
    Row,
    RowKey,
    decode_value,
    encode_value,
    index_key,
    move_value,
    shard_prefix,
    verify_value,
)
from store.engine.segment import SegmentKind

UPLOAD = SYSTEM + b"u"
"""The name of an upload's mark: this, then the data id. Its summary is the name of the object that is to be."""
USAGE_CACHE_MAX = 100_000
RECOUNT_PAGE = 10_000
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_HOLE = struct.Struct(">cII")


class Applied(NamedTuple):
    """What became of a row that was written.

    `refused` is empty, or says why a guard kept the row out. `stamp` is the version now in place: the row's own if it
    took effect, a higher one if another version had come before. `displaced` is the row that was in place before.
    """

    refused: str
    stamp: bytes
    displaced: IndexRow | None


class Garbage(NamedTuple):
    """Data whose row was displaced here: to be dropped once that is so at a quorum."""

    data_id: bytes
    owner: RowKey
    policy: int
    summary: bytes


class View:
    """Rows, blocks and what is derived from them, on one device."""

    def __init__(self, index: Index, on_damage: Callable[[bytes, str], None]) -> None:
        self._index = index
        self._memtable = Memtable()
        self._on_damage = on_damage
        self._usage: dict[bytes, dict[int, list[int]]] = {}
        self._usage_dirty: set[bytes] = set()
        self.live: dict[int, int] = {}
        """Live bytes by segment."""
        self._live_dirty: set[int] = set()
        self.holes: list[Location] = []
        """Records of blocks that are no more: to be punched out once the index says so."""
        self.garbage_added: Callable[[Garbage], None] | None = None

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, unverified."""
        known, value = self._memtable.get(key)
        return value if known else self._index.get(key)

    def row_value(self, key: bytes) -> bytes | None:
        """The value of a row's key, verified. A damaged one is reported and counts as absent: peers have it."""
        return self._look(key)[0]

    def _look(self, key: bytes) -> tuple[bytes | None, bool]:
        """(verified value of a row's key, whether there is one that is damaged)."""
        known, value = self._memtable.get(key)
        if known:
            return value, False
        value = self._index.get(key)
        if value is not None:
            try:
                verify_value(key, value)
            except DamageError as error:
                self._on_damage(key, str(error))
                return None, True
        return value, False

    def row(self, key: bytes) -> IndexRow | None:
        value = self.row_value(key)
        return None if value is None else decode_value(key, value)

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        """Up to `limit` entries with start <= key < stop in order, memory table and index together."""
        newer = self._memtable.between(start, stop)
        if not newer:
            return self._index.range(start, stop, limit, reverse=reverse)
        # Every deletion in memory may hide one entry of the index.
        hidden = sum(value is None for value in newer.values())
        older = self._index.range(start, stop, limit + hidden, reverse=reverse)
        merged = dict(older)
        if len(older) == limit + hidden:
            # The index has more behind its last: what memory has beyond that must wait for the next page.
            last = older[-1][0]
            merged.update((k, v) for k, v in newer.items() if (k >= last if reverse else k <= last))  # type: ignore[misc]
        else:
            merged.update(newer)  # type: ignore[arg-type]
        entries = [(key, merged[key]) for key in sorted(merged, reverse=reverse) if merged[key] is not None]
        return entries[:limit]

    def shard_rows(
        self, place: int, table: bytes, shard: int, start: bytes, stop: bytes | None, limit: int, *, reverse: bool
    ) -> list[IndexRow]:
        """Up to `limit` rows of a shard with start <= name < stop, in the order of their names; tombstones too.

        Names that share their first 400 bytes lie in the index by hash: such a group is read whole and sorted.
        """
        prefix = shard_prefix(place, table, shard)
        low = prefix + start[:NAME_KEY_BYTES]
        high = _next_prefix(prefix) if stop is None else prefix + stop[:NAME_KEY_BYTES]
        if stop is not None and len(stop) > NAME_KEY_BYTES:
            high += b"\xff" * 17
        found: list[IndexRow] = []
        while len(found) < limit:
            page = self.range(low, high, limit + 1, reverse=reverse)
            if not page:
                break
            more = len(page) > limit
            last = page[-1][0]
            if len(last) > PREFIX_BYTES + NAME_KEY_BYTES or (reverse and len(last) == PREFIX_BYTES + NAME_KEY_BYTES):
                group = last[: PREFIX_BYTES + NAME_KEY_BYTES]
                page = [entry for entry in page if entry[0][: len(group)] != group]
                page += self.range(max(low, group), min(high, group + b"\xff" * 17), 1 << 30, reverse=reverse)
                low, high = (low, group) if reverse else (group + b"\xff" * 17, high)
                more = low < high
            elif more:
                page.pop()
                low, high = (low, page[-1][0]) if reverse else (page[-1][0] + b"\0", high)
            rows = [row for row in map(self._decode, page) if row is not None]
            if any(len(row.name) > NAME_KEY_BYTES for row in rows):
                rows.sort(key=lambda row: row.name, reverse=reverse)
            found += [row for row in rows if row.name >= start and (stop is None or row.name < stop)]
            if not more:
                break
        return found[:limit]

    def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        """Rows of all shards behind a packed key, and the key to go on behind (empty at the end).

        An entry that is damaged is reported and left out: its other homes show that it is missing here.
        """
        page = self.range(max(after + b"\0", b"r"), b"s", limit)
        rows = [(entry[0], row) for entry in page if (row := self._decode(entry)) is not None]
        return rows, page[-1][0] if len(page) == limit else b""

    def _decode(self, entry: tuple[bytes, bytes]) -> IndexRow | None:
        key, value = entry
        try:
            verify_value(key, value)
        except DamageError as error:
            self._on_damage(key, str(error))
            return None
        return decode_value(key, value)

    def usage(self, place: int, table: bytes, shard: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows."""
        counts = self._shard_usage(shard_prefix(place, table, shard))
        return {policy: (count, size) for policy, (count, size) in counts.items() if count or size}

    def expired(self, before: int, limit: int) -> list[tuple[int, bytes]]:
        """(expires, row key) of rows that expire before a time in seconds, soonest first."""
        entries = self.range(b"x", b"x" + _U64.pack(before), limit)
        return [(_U64.unpack_from(key, 1)[0], key[9:]) for key, _ in entries]

    def garbage(self, limit: int) -> list[Garbage]:
        """Displaced data that nobody has confirmed as dropped."""
        return [_decode_garbage(key, value) for key, value in self.range(b"g", b"h", limit)]

    def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(row key, stamp) of tombstones behind the row key `after`."""
        return [(key[1:], stamp) for key, stamp in self.range(b"t" + after + b"\0", b"u", limit)]

    def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(data id, the mark's row key) behind the data id `after`, of uploads that were neither committed nor given
        up for good."""
        return [(key[1:], packed) for key, packed in self.range(b"u" + after + b"\0", b"v", limit)]

    # -- blocks --------------------------------------------------------------------------------------------------

    def block(self, key: BlockKey) -> IndexBlock | None:
        packed = blocks.index_key(key)
        value = self.get(packed)
        if value is None:
            return None
        try:
            return blocks.decode_value(packed, value)
        except DamageError as error:
            self._on_damage(packed, str(error))
            return None

    def add_block(self, key: BlockKey, entry: IndexBlock, shares: BlockKey | None = None) -> bool:
        """A block became durable. One that was here before is dead from now on.

        A link is taken only while its payload is known to be some block's: `shares` is one that should have it. False
        where it is not.
        """
        packed = blocks.index_key(key)
        before = self.block(key)
        if before is not None and before.own == entry.own:
            return True
        if entry.link is not None and not self._share(entry.location, shares):
            return False
        if before is not None:
            self._release(before)
        self._memtable.put(packed, blocks.encode_value(packed, entry))
        self.add_live(entry.own, entry.own.length)
        return True

    def shares(self, location: Location) -> int | None:
        """How many blocks have a record's payload; None where it was never shared. Raises DamageError."""
        packed = blocks.shares_key(location)
        value = self.get(packed)
        return None if value is None else blocks.decode_shares(packed, value)

    def _share(self, location: Location, known: BlockKey | None) -> bool:
        """Count one more block with this payload, if there is any."""
        try:
            count = self.shares(location)
        except DamageError as error:
            self._on_damage(b"", f"shares of a block: {error}")
            return False
        if count is None:
            other = None if known is None else self.block(known)
            if other is None or other.location != location:
                return False
            count = 1
        self._put_shares(location, count + 1)
        return True

    def _put_shares(self, location: Location, count: int) -> None:
        packed = blocks.shares_key(location)
        self._memtable.put(packed, blocks.encode_shares(packed, count) if count else None)

    def _release(self, entry: IndexBlock) -> None:
        """A block is no more: what nothing needs now is free."""
        freed = [] if entry.link is None else [entry.link]
        try:
            count = self.shares(entry.location)
        except DamageError as error:
            # Who else has this payload is not known: its space stays in use until the index is made anew.
            self._on_damage(b"", f"shares of a block: {error}")
        else:
            if count is not None:
                self._put_shares(entry.location, count - 1)
            if count == 1 or (count is None and entry.link is None):
                freed.append(entry.location)
        for location in freed:
            self.add_live(location, -location.length)
            self.free(location)

    def free(self, location: Location) -> None:
        """A record is needed no more. Noted until it is punched: a crash in between must not keep its space."""
        self.holes.append(location)
        self._memtable.put(_HOLE.pack(b"h", *location[:2]), _U32.pack(location.length))

    def punched(self, locations: Iterable[Location]) -> None:
        """Their space is given back."""
        for location in locations:
            self._memtable.put(_HOLE.pack(b"h", *location[:2]), None)

    def load_holes(self) -> None:
        """Find what an earlier process did not come to punch."""
        for key, value in self._index.range(b"h", b"i", 1 << 30):
            _, segment, offset = _HOLE.unpack(key)
            self.holes.append(Location(segment, offset, _U32.unpack(value)[0]))

    def first_blocks(self, after: bytes, limit: int) -> list[tuple[bytes, IndexBlock]]:
        """(data id, one of its blocks) of data behind the data id `after`, in order; up to `limit`."""
        found: list[tuple[bytes, IndexBlock]] = []
        start = blocks.data_prefix(after) + b"\xff" * 6 if after else b"d"
        while len(found) < limit and (page := self.range(start, b"e", 1)):
            key, value = page[0]
            data_id = blocks.parse_key(key).data_id
            try:
                found.append((data_id, blocks.decode_value(key, value)))
            except DamageError as error:
                self._on_damage(key, str(error))
            start = blocks.data_prefix(data_id) + b"\xff" * 6
        return found

    def data_blocks(self, data_id: bytes) -> list[tuple[bytes, IndexBlock]]:
        """All blocks of these data, by index key."""
        prefix = blocks.data_prefix(data_id)
        found = []
        for key, value in self.range(prefix, prefix + b"\xff" * 6, 1 << 30):
            try:
                found.append((key, blocks.decode_value(key, value)))
            except DamageError as error:
                self._on_damage(key, str(error))
        return found

    def drop_block(self, packed: bytes, entry: IndexBlock) -> None:
        self._memtable.put(packed, None)
        self._release(entry)

    # -- rows ----------------------------------------------------------------------------------------------------

    def apply(self, packed: bytes, row: Row, location: Location) -> Applied:
        """Take a durable row into the view, if no newer version and no guard keeps it out.

        The same version again (a repeated write, a replay) takes effect as if new: the record is then the later one.
        """
        before_value, damaged = self._look(packed)
        before = None if before_value is None else decode_value(packed, before_value)
        stamp = row.stamp.pack()
        if before is not None and before.stamp > stamp:
            return Applied("", before.stamp, before)
        flags = row.flags
        if flags & (Flag.GUARD | Flag.ABORT):
            refused = self._guard(row)
            if refused:
                return Applied(refused, before.stamp if before else b"", before)
        value = encode_value(packed, row, location)
        self._memtable.put(packed, value)
        self.add_live(location, location.length)
        if before is not None:
            self.add_live(before.location, -before.location.length)
        self._derive(packed, row, before)
        if damaged:
            self._recount(packed[:PREFIX_BYTES])  # what was there before is unknown, and was counted
        return Applied("", stamp, before)

    def _guard(self, row: Row) -> str:
        place, table, shard, name = row.key
        if row.flags & Flag.ABORT:
            target = self.row(index_key(RowKey(place, table, shard, row.summary)))
            committed = target is not None and target.data_id == name[len(UPLOAD) :]
            return "committed" if committed else ""
        mark_key = index_key(RowKey(place, table, shard, UPLOAD + row.data_id))
        mark = self.row(mark_key)
        if mark is None:
            return ""
        if mark.flags & Flag.ABORT:
            return "aborted"
        self._remove(mark_key, mark)
        return ""

    def _remove(self, packed: bytes, row: IndexRow) -> None:
        """Take a row and all that is derived from it out of the view."""
        self._memtable.put(packed, None)
        self.add_live(row.location, -row.location.length)
        if row.flags & Flag.EXPIRES:
            self._memtable.put(b"x" + _U64.pack(row.expires) + packed, None)
        if row.flags & Flag.TOMBSTONE:
            self._memtable.put(b"t" + packed, None)
        if row.name.startswith(UPLOAD):
            self._memtable.put(b"u" + row.name[len(UPLOAD) :], None)
        elif row.live and row.name[:1] != SYSTEM:
            entry = self._shard_usage(packed[:PREFIX_BYTES])[row.policy]
            entry[0] -= 1
            entry[1] -= row.size
            self._usage_dirty.add(packed[:PREFIX_BYTES])

    def _derive(self, packed: bytes, row: Row, before: IndexRow | None) -> None:
        live = not row.flags & Flag.TOMBSTONE
        if before is not None:
            if before.flags & Flag.EXPIRES:
                self._memtable.put(b"x" + _U64.pack(before.expires) + packed, None)
            if before.flags & Flag.TOMBSTONE and live:
                self._memtable.put(b"t" + packed, None)
            if before.flags & Flag.DATA and before.data_id != row.data_id:
                garbage = Garbage(before.data_id, row.key, before.policy, before.summary)
                self._memtable.put(b"g" + before.data_id, _encode_garbage(garbage))
                if self.garbage_added is not None:
                    self.garbage_added(garbage)
        if row.flags & Flag.EXPIRES:
            self._memtable.put(b"x" + _U64.pack(row.expires) + packed, b"")
        if not live:
            self._memtable.put(b"t" + packed, row.stamp.pack())
        if row.key.name[:1] == SYSTEM:
            if row.key.name.startswith(UPLOAD):
                self._memtable.put(b"u" + row.key.name[len(UPLOAD) :], packed)
            return
        counts = self._shard_usage(packed[:PREFIX_BYTES])
        if before is not None and before.live:
            entry = counts[before.policy]
            entry[0] -= 1
            entry[1] -= before.size
        if live:
            entry = counts.setdefault(row.policy, [0, 0])
            entry[0] += 1
            entry[1] += row.size
        self._usage_dirty.add(packed[:PREFIX_BYTES])

    def _shard_usage(self, prefix: bytes) -> dict[int, list[int]]:
        counts = self._usage.get(prefix)
        if counts is None:
            value = self.get(b"c" + prefix)
            try:
                counts = {} if value is None else _unpack(value)
            except DamageError as error:
                self._on_damage(b"", f"usage of a shard: {error}")
                return self._recount(prefix)
            self._usage[prefix] = counts
        return counts

    def _recount(self, prefix: bytes) -> dict[int, list[int]]:
        """Count a shard's live rows anew. Slow, and only after damage."""
        counts: dict[int, list[int]] = {}
        start, stop = prefix, _next_prefix(prefix)
        while page := self.range(start, stop, RECOUNT_PAGE):
            for row in map(self._decode, page):
                if row is not None and row.live and row.name[:1] != SYSTEM:
                    entry = counts.setdefault(row.policy, [0, 0])
                    entry[0] += 1
                    entry[1] += row.size
            start = page[-1][0] + b"\0"
        self._usage[prefix] = counts
        self._usage_dirty.add(prefix)
        return counts

    def move(self, packed: bytes, old: Location, new: Location) -> bool:
        """Point a row's index entry at the copy that compaction made, if it still points at the old record."""
        value = self.row_value(packed)
        if value is None or decode_value(packed, value).location != old:
            return False
        self._memtable.put(packed, move_value(packed, value, new))
        self.add_live(old, -old.length)
        self.add_live(new, new.length)
        return True

    def forget(self, packed: bytes, stamp: bytes) -> bool:
        """Remove a tombstone or a settled mark for good, if it is still this version."""
        row = self.row(packed)
        if row is None or row.stamp != stamp:
            return False
        self._remove(packed, row)
        return True

    def forget_garbage(self, data_id: bytes) -> None:
        """These data are dropped everywhere."""
        if self.get(b"g" + data_id) is not None:
            self._memtable.put(b"g" + data_id, None)

    # -- segments and flushing -----------------------------------------------------------------------------------

    def add_live(self, location: Location, by: int) -> None:
        self.live[location.segment] = self.live.get(location.segment, 0) + by
        self._live_dirty.add(location.segment)

    def load_live(self) -> None:
        for key, value in self._index.range(b"s", b"t", 1 << 30):
            self.live[_U64.unpack_from(key, 1)[0]] = _unpack(value)[1]

    def forget_segment(self, segment: int) -> None:
        self.live.pop(segment, None)
        self._live_dirty.discard(segment)
        self._memtable.put(b"s" + _U64.pack(segment), None)

    def mark(self, name: bytes, value: tuple[int, ...]) -> None:
        self._memtable.put(b"m" + name, msgpack.packb(value))

    def marked(self, name: bytes) -> tuple[int, ...] | None:
        value = self.get(b"m" + name)
        return None if value is None else tuple(_unpack(value))

    @property
    def dirty(self) -> int:
        """Changes that the index does not hold yet."""
        return len(self._memtable.active.entries)

    def freeze(self, kinds: dict[int, SegmentKind]) -> Generation:
        """Everything up to now, ready to be written to the index."""
        for prefix in self._usage_dirty:
            counts = {policy: entry for policy, entry in self._usage[prefix].items() if entry[0] or entry[1]}
            self._memtable.put(b"c" + prefix, msgpack.packb(counts) if counts else None)
        self._usage_dirty.clear()
        for segment in self._live_dirty:
            if segment in kinds:
                packed = msgpack.packb((kinds[segment], self.live[segment]))
                self._memtable.put(b"s" + _U64.pack(segment), packed)
        self._live_dirty.clear()
        if len(self._usage) > USAGE_CACHE_MAX:
            self._usage.clear()
        return self._memtable.freeze()

    def flushed(self) -> None:
        self._memtable.flushed()

    def unflushed(self) -> None:
        self._memtable.unflushed()

    def write_index(self, frozen: Generation) -> None:
        """Write a frozen generation. Blocks: in a worker."""
        entries = frozen.entries
        self._index.write((key, entries[key]) for key in sorted(entries))


def _encode_garbage(garbage: Garbage) -> bytes:
    packed: bytes = msgpack.packb((*garbage.owner, garbage.policy, garbage.summary))
    return packed


def _decode_garbage(key: bytes, value: bytes) -> Garbage:
    place, table, shard, name, policy, summary = _unpack(value)
    return Garbage(key[1:], RowKey(place, table, shard, name), policy, summary)


def _unpack(value: bytes) -> Any:
    """What a derived value holds. Raises DamageError where it cannot be read."""
    try:
        return msgpack.unpackb(value, strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise DamageError(f"a derived value of the index cannot be read: {error}") from error


def _next_prefix(prefix: bytes) -> bytes:
    """The first key above all keys that begin with `prefix`."""
    return (int.from_bytes(prefix) + 1).to_bytes(len(prefix))
