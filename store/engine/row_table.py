"""The row table: what a device's log says of rows. All on the event loop, nothing waits.

`apply` is the one place where a row changes, in normal work and in replay alike: the order of the log decides, so a
replay comes to the same row table. With each row it keeps what is derived from rows, in the same step and hence in the
same index transaction:

    r...   the row itself                        (store.device.row)
    c...   usage of a shard by policy            (store.engine.usage)
    x...   rows that expire                      `x` + expires (8, big-endian) + row key -> empty
    t...   tombstones                            `t` + row key -> stamp (12)
    u...   intents of uploads under way            `u` + data id -> row key of the intent
    g...   data that a newer row displaced       `g` + data id -> msgpack [place, table, shard, name, policy, summary]
    q...   rows that a crash left in doubt       `q` + row key -> empty
    f...   tombstones that were forgotten        `f` + row key -> stamp, and origin of one that is not plain
    p...   promises                              (store.engine.promise_table)

A tombstone that is forgotten leaves its stamp behind until every replica has forgotten it durably. Otherwise one of
which the index was not written yet could come back with it after a crash, and win against a version that the others had
taken since from a writer whose clock is behind.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgpack

from store.core.errors import DamageError
from store.device.port import Applied, Garbage, Seen
from store.device.row import (
    NAME_KEY_BYTES,
    PREFIX_BYTES,
    STAMP_BYTES,
    SYSTEM,
    UPLOAD,
    Flag,
    IndexRow,
    Location,
    Row,
    RowKey,
    RowValue,
    decode_value,
    encode_value,
    index_key,
    move_value,
    retired_note,
    retired_value,
    row_name,
    shard_prefix,
    shard_stop,
    verify_page,
    verify_value,
)
from store.engine.fences import EVERYTHING, Fences
from store.engine.merged_index import MergedIndex, unpack
from store.engine.promise_table import PromiseTable
from store.engine.segment_usage import SegmentUsage
from store.engine.usage import Usage, usage_key

_U64 = struct.Struct(">Q")
_ALL = 1 << 30
_NOTHING = bytes(STAMP_BYTES)


class RowTable:
    """Rows and what is derived from them, on one device."""

    def __init__(
        self, index: MergedIndex, segment_usage: SegmentUsage, on_damage: Callable[[bytes, str], None]
    ) -> None:
        self._index = index
        self._segment_usage = segment_usage
        self._on_damage = on_damage
        self.promises = PromiseTable(index, segment_usage, on_damage)
        self.fences = Fences()
        self._forgotten: dict[bytes, bytes] = {}
        self._releasing: dict[bytes, bytes] = {}
        """Those of them that are to be released as soon as the index says so."""
        self._usage = Usage(index, on_damage)
        self.recount = self._usage.recount
        self.note_usage = self._usage.note

    def load(self) -> bool:
        """What the index says of forgotten tombstones and of promises, which are few; whether all could be read."""
        self._forgotten = {key[1:]: note for key, note in self._index.range(b"f", b"g", _ALL)}
        return self.promises.load()

    # -- reading -------------------------------------------------------------------------------------------------

    def row_value(self, key: bytes) -> bytes | None:
        """The value of a row's key, verified. Raises DamageError where it is damaged: that is no absence."""
        value, from_index = self._index.find(key)
        if from_index and value is not None:
            self._verify(key, value)
        return value

    def _look(self, key: bytes) -> tuple[bytes | None, bool]:
        """(verified value of a row's key, whether there is one that is damaged)."""
        try:
            return self.row_value(key), False
        except DamageError:
            return None, True

    def row(self, key: bytes) -> IndexRow | None:
        """What is known of a row. Raises DamageError as `row_value`."""
        value = self.row_value(key)
        return None if value is None else decode_value(key, value)

    def shard_entries(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        *,
        reverse: bool,
        verified: bool = True,
    ) -> list[tuple[bytes, bytes]]:
        """(key, value, verified unless that is not wanted) of up to `limit` rows of a shard with start <= name < stop,
        in the order of names; tombstones too. Raises DamageError where one is damaged: a page must not leave out what
        it cannot tell.

        Names that share their first 400 bytes lie in the index by hash: such a group is read whole and sorted.
        """
        low, high = shard_range(ring_hash, table, shard, start, stop)
        found: list[tuple[bytes, bytes]] = []
        while len(found) < limit:
            page = self._index.range(low, high, limit + 1, reverse=reverse)
            if not page:
                break
            more = len(page) > limit
            last = page[-1][0]
            if len(last) > PREFIX_BYTES + NAME_KEY_BYTES or (reverse and len(last) == PREFIX_BYTES + NAME_KEY_BYTES):
                group = last[: PREFIX_BYTES + NAME_KEY_BYTES]
                page = [entry for entry in page if entry[0][: len(group)] != group]
                page += self._index.range(max(low, group), min(high, group + b"\xff" * 17), 1 << 30, reverse=reverse)
                low, high = (low, group) if reverse else (group + b"\xff" * 17, high)
                more = low < high
            elif more:
                page.pop()
                low, high = (low, page[-1][0]) if reverse else (page[-1][0] + b"\0", high)
            long = max(map(len, [key for key, _ in page]), default=0) >= PREFIX_BYTES + NAME_KEY_BYTES
            if (verified or long) and (damaged := verify_page(page)) is not None:
                self._verify(*damaged)
            if long:
                page.sort(key=lambda entry: row_name(*entry), reverse=reverse)
                page = [e for e in page if (name := row_name(*e)) >= start and (stop is None or name < stop)]
            found += page
            if not more:
                break
        return found[:limit]

    def _verify(self, key: bytes, value: bytes) -> None:
        try:
            verify_value(key, value)
        except DamageError as error:
            self._on_damage(key, str(error))
            raise

    def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        """Rows of all shards behind a packed key, and the key to go on behind (empty at the end).

        An entry that is damaged is reported and left out: its other replicas show that it is missing here.
        """
        page = self._index.range(max(after + b"\0", b"r"), b"s", limit)
        rows = [(entry[0], row) for entry in page if (row := self._decode(entry)) is not None]
        return rows, page[-1][0] if len(page) == limit else b""

    def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        """The same of row keys alone, those of damaged entries too."""
        page = self._index.range(max(after + b"\0", b"r"), b"s", limit)
        return [key for key, _ in page], page[-1][0] if len(page) == limit else b""

    def _decode(self, entry: tuple[bytes, bytes]) -> IndexRow | None:
        key, value = entry
        try:
            verify_value(key, value)
        except DamageError as error:
            self._on_damage(key, str(error))
            return None
        return decode_value(key, value)

    def usage(self, ring_hash: int, table: bytes, shard: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows. Raises DamageError while these are counted anew."""
        return self._usage.of(shard_prefix(ring_hash, table, shard))

    def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        """(expires, row key) of rows that expire before a time in seconds, soonest first; behind `after`."""
        found = self._index.range(*expiries(before, after), limit)
        return [(_U64.unpack_from(key, 1)[0], key[9:]) for key, _ in found]

    def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        """Displaced data behind the data id `after` that nobody has confirmed as dropped."""
        notes = []
        for key, value in self._index.range(b"g" + after + b"\0", b"h", limit):
            try:
                notes.append(_decode_garbage(key, value))
            except DamageError as error:
                # It must not keep those behind it waiting. The scrubber finds data that belong to nobody without it.
                self._on_damage(b"", str(error))
                self._index.put(key, None)
        return notes

    def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(row key, stamp) of tombstones behind the row key `after`."""
        return [(key[1:], stamp) for key, stamp in self._index.range(b"t" + after + b"\0", b"u", limit)]

    def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(data id, the intent's row key) behind the data id `after`, of uploads that were neither committed nor given
        up for good."""
        return [(key[1:], packed) for key, packed in self._index.range(b"u" + after + b"\0", b"v", limit)]

    # -- rows ----------------------------------------------------------------------------------------------------

    def apply(
        self, packed: bytes, row: Row, value: RowValue, location: Location, *, promises_bar: bool = True
    ) -> Applied:
        """Take a durable row into the row table, if no guard, no newer version and no promise keeps it out: in this
        order, by the rules of docs/consistency.md, "A replica". `value` is that of the row.

        The same version again (a repeated write, a replay) takes effect as if new: the record is then the later one.
        """
        before_value, damaged = self._look(packed)
        before = None if before_value is None else decode_value(packed, before_value)
        here = b"" if before is None else before.stamp
        stamp = value.stamp
        flags = row.flags
        if flags & (Flag.GUARD | Flag.ABORT):
            refused = self._refusal(row)
            if refused:
                return Applied(refused, here, before)
        if here > stamp:
            return self._newer(packed, stamp, before)
        if self._forgotten and before is None:
            here = self._forgotten.get(packed, b"")[:STAMP_BYTES]
            if here > stamp:
                return self._newer(packed, stamp, None)
            if here == stamp:
                return Applied("", stamp, None)
        promised = b""
        if self.promises.by_row:
            promised = self.promises.of(packed)
            if promised > stamp != here and promises_bar:
                return Applied("", here, before, barred=True, floor=promised)
        if flags & Flag.GUARD:
            self._end_upload(row)
        if promised and promised <= stamp:
            self.promises.reached(packed)
        if here != stamp and not damaged:
            self.fences.begin(packed, promised or here)  # what is promised still is above what is here
        self._index.put(packed, encode_value(packed, value, location))
        self._segment_usage.add(location, location.length)
        if before is not None:
            self._segment_usage.add(before.location, -before.location.length)
        self._derive(packed, row, before)
        if damaged:  # what was there before is unknown: it was counted, or a tombstone
            self._usage.spoil(packed[:PREFIX_BYTES])
            if not flags & Flag.TOMBSTONE:
                self._index.put(b"t" + packed, None)
        return Applied("", stamp, before)

    def _newer(self, packed: bytes, stamp: bytes, here: IndexRow | None) -> Applied:
        """A newer version than that of this stamp is here, or was until it was retired."""
        newest = self._retired(packed) if here is None else here
        assert newest is not None, "something is newer"
        # What is retired here may be forgotten elsewhere, and what came be newer in truth.
        covers = here is not None and newest.root >= stamp >= self.fences.of(packed)
        return Applied("", newest.stamp, here, floor=max(newest.stamp, self.promises.of(packed)), covers=covers)

    def promise(self, packed: bytes, stamp: bytes, location: Location) -> bool:
        """Take a durable promise in, unless a version or promise above it is here, or a version of just this stamp;
        whether that is so. One whose row cannot be read is kept: it keeps out too much at the worst."""
        value, damaged = self._look(packed)
        here = self._forgotten.get(packed, b"") if value is None else value
        promised = self.promises.of(packed)
        if here[:STAMP_BYTES] >= stamp or promised > stamp:
            return False
        self.promises.give(packed, stamp, location)
        self.fences.raise_to(packed, EVERYTHING if damaged else stamp)
        return True

    def look(self, packed: bytes, *, believed: bool, barred: bool = False) -> Seen:
        """What is here of a row. Raises DamageError as `row_value`."""
        value = self.row_value(packed)
        retired = value is None and packed in self._forgotten
        if retired:
            value = retired_value(packed, self._forgotten[packed])
        stamp = _NOTHING if value is None else value[:STAMP_BYTES]
        return Seen(value, max(stamp, self.promises.of(packed)), retired, believed, barred)

    def _retired(self, packed: bytes) -> IndexRow | None:
        """The tombstone that was forgotten and is not released."""
        note = self._forgotten.get(packed)
        return None if note is None else decode_value(packed, retired_value(packed, note))

    def _refusal(self, row: Row) -> str:
        """Why a guard keeps a row out, or an abort record comes too late."""
        ring_hash, table, shard, name = row.key
        if row.flags & Flag.ABORT:
            target = self.row(index_key(RowKey(ring_hash, table, shard, row.summary)))
            committed = target is not None and target.data_id == name[len(UPLOAD) :]
            return "committed" if committed else ""
        intent = self.row(_intent_key(row))
        return "aborted" if intent is not None and intent.flags & Flag.ABORT else ""

    def _end_upload(self, row: Row) -> None:
        """An upload is committed: its intent goes."""
        intent_key = _intent_key(row)
        intent = self.row(intent_key)
        if intent is not None:
            self.fences.raise_to(intent_key, intent.stamp)
            self._remove(intent_key, intent)

    def _remove(self, packed: bytes, row: IndexRow) -> None:
        """Take a row and all that is derived from it out of the row table."""
        self._index.put(packed, None)
        self._segment_usage.add(row.location, -row.location.length)
        if row.flags & Flag.EXPIRES:
            self._index.put(b"x" + _U64.pack(row.expires) + packed, None)
        if row.flags & Flag.TOMBSTONE:
            self._index.put(b"t" + packed, None)
        if row.name.startswith(UPLOAD):
            self._index.put(b"u" + row.name[len(UPLOAD) :], None)
        elif row.live and row.name[:1] != SYSTEM:
            self._usage.add(packed[:PREFIX_BYTES], packed, row.policy, -1, -row.size)

    def _derive(self, packed: bytes, row: Row, before: IndexRow | None) -> None:
        live = not row.flags & Flag.TOMBSTONE
        if before is not None:
            if before.flags & Flag.EXPIRES:
                self._index.put(b"x" + _U64.pack(before.expires) + packed, None)
            if before.flags & Flag.TOMBSTONE and live:
                self._index.put(b"t" + packed, None)
            if before.flags & Flag.DATA and before.data_id != row.data_id:
                garbage = Garbage(before.data_id, row.key, before.policy, before.summary)
                self._index.put(b"g" + before.data_id, _encode_garbage(garbage))
        if row.flags & Flag.EXPIRES:
            self._index.put(b"x" + _U64.pack(row.expires) + packed, b"")
        if not live:
            self._index.put(b"t" + packed, row.stamp.pack())
        if row.key.name[:1] == SYSTEM:
            if row.key.name.startswith(UPLOAD):
                self._index.put(b"u" + row.key.name[len(UPLOAD) :], packed)
            return
        prefix = packed[:PREFIX_BYTES]
        if before is not None and before.live:
            self._usage.add(prefix, packed, before.policy, -1, -before.size)
        if live:
            self._usage.add(prefix, packed, row.policy, 1, row.size)

    def move(self, packed: bytes, old: Location, new: Location) -> bool:
        """Point a row's index entry at the copy that compaction made, if it still points at the old record."""
        value = self.row_value(packed)
        if value is None or decode_value(packed, value).location != old:
            return False
        self._index.put(packed, move_value(packed, value, new))
        self._segment_usage.add(old, -old.length)
        self._segment_usage.add(new, new.length)
        return True

    def forget(self, packed: bytes, stamp: bytes) -> bool:
        """Remove a tombstone or an ended intent for good, if it is still this version."""
        row = self.row(packed)
        if row is None or row.stamp != stamp:
            return False
        self.fences.raise_to(packed, stamp)
        self._remove(packed, row)
        return True

    def discard(self, packed: bytes) -> None:
        """Remove an entry that is damaged, and is needed no more. The space of its record stays in use."""
        if self._look(packed)[1]:
            self.fences.raise_to(packed, EVERYTHING)
            self._index.put(packed, None)
            self._index.put(b"t" + packed, None)
            name = packed[PREFIX_BYTES:]
            if name.startswith(UPLOAD):
                self._index.put(b"u" + name[len(UPLOAD) :], None)
            self._usage.spoil(packed[:PREFIX_BYTES])

    def forget_expiry(self, expires: int, packed: bytes) -> None:
        """No row of this key expires then: what was there was discarded."""
        self._index.put(b"x" + _U64.pack(expires) + packed, None)

    def retire(self, packed: bytes, stamp: bytes) -> bool:
        """Forget a tombstone, if it is still this version, and keep what is older from coming in its place until it is
        `release`d."""
        row = self.row(packed)
        if row is None or row.stamp != stamp:
            return False
        self._remove(packed, row)
        note = retired_note(row)
        self._forgotten[packed] = note
        self._index.put(b"f" + packed, note)
        return True

    def retired(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(row key, stamp) behind the row key `after` of tombstones that were forgotten and are not released."""
        page = self._index.range(b"f" + after + b"\0", b"g", limit)
        return [(key[1:], note[:STAMP_BYTES]) for key, note in page]

    def retired_stamp(self, packed: bytes) -> bytes | None:
        """That of a forgotten tombstone."""
        note = self._forgotten.get(packed)
        return None if note is None else note[:STAMP_BYTES]

    def release(self, packed: bytes, stamp: bytes) -> None:
        """Every replica has forgotten this tombstone for good. What is older is kept out until that is durable: a
        replay by an index that has the stamp still would leave out what had been taken meanwhile."""
        if self.retired_stamp(packed) == stamp:
            self._releasing[packed] = stamp
            self.fences.raise_to(packed, stamp)
            self._index.put(b"f" + packed, None)

    def take_releasing(self) -> dict[bytes, bytes]:
        """What the index is about to say that it is released."""
        taken, self._releasing = self._releasing, {}
        return taken

    def released(self, taken: dict[bytes, bytes], *, durably: bool) -> None:
        """The index says so now; or it could not be written."""
        if not durably:
            self._releasing = taken | self._releasing
            return
        for packed, stamp in taken.items():
            if self.retired_stamp(packed) == stamp:
                del self._forgotten[packed]

    def note_in_doubt(self, packed: bytes) -> None:
        """Note that a row was found in the log behind the index, so that its other replicas are asked."""
        self._index.put(b"q" + packed, b"")

    def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        """Row keys behind `after` that are noted."""
        return [key[1:] for key, _ in self._index.range(b"q" + after + b"\0", b"r", limit)]

    def forget_in_doubt(self, packed: bytes) -> None:
        """They were."""
        self._index.put(b"q" + packed, None)

    def forget_garbage(self, data_id: bytes) -> None:
        """These data are dropped everywhere."""
        if self._index.get(b"g" + data_id) is not None:
            self._index.put(b"g" + data_id, None)


def _intent_key(row: Row) -> bytes:
    """That of the intent of the upload that a row commits."""
    ring_hash, table, shard, _ = row.key
    return index_key(RowKey(ring_hash, table, shard, UPLOAD + row.data_id))


def shard_range(ring_hash: int, table: bytes, shard: int, start: bytes, stop: bytes | None) -> tuple[bytes, bytes]:
    """The keys between which the rows of a shard with start <= name < stop lie; and perhaps a few more."""
    prefix = shard_prefix(ring_hash, table, shard)
    high = shard_stop(prefix) if stop is None else prefix + stop[:NAME_KEY_BYTES]
    if stop is not None and len(stop) > NAME_KEY_BYTES:
        high += b"\xff" * 17
    return prefix + start[:NAME_KEY_BYTES], high


def expiries(before: int, after: tuple[int, bytes] | None) -> tuple[bytes, bytes]:
    """The keys between which the rows that expire before a time in seconds lie, behind `after`."""
    start = b"x" if after is None else b"x" + _U64.pack(after[0]) + after[1] + b"\0"
    return start, b"x" + _U64.pack(before)


def touched_by(packed: bytes, row: Row) -> tuple[bytes, ...]:
    """The keys that are looked up when a row is applied."""
    ring_hash, table, shard, name = row.key
    if row.flags & Flag.ABORT:
        return packed, index_key(RowKey(ring_hash, table, shard, row.summary))
    if name[:1] == SYSTEM:
        return (packed,)
    counts = usage_key(packed[:PREFIX_BYTES])
    if row.flags & Flag.GUARD:
        return packed, counts, index_key(RowKey(ring_hash, table, shard, UPLOAD + row.data_id))
    return packed, counts


def _encode_garbage(garbage: Garbage) -> bytes:
    packed: bytes = msgpack.packb((*garbage.owner, garbage.policy, garbage.summary))
    return packed


def _decode_garbage(key: bytes, value: bytes) -> Garbage:
    try:
        ring_hash, table, shard, name, policy, summary = unpack(value)
    except (ValueError, TypeError) as error:
        raise DamageError(f"a note of displaced data is not of a known form: {error}") from error
    return Garbage(key[1:], RowKey(ring_hash, table, shard, name), policy, summary)
