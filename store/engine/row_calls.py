"""Calls of the port about rows, and what is derived from them: the row half of a device.

A row is a record of the log; when that is durable it goes into the row table, and then it is answered. Look-ups read
the index on the loop, once it lies in memory.
"""

from __future__ import annotations

from functools import partial

from store.core.errors import BusyError, DamageError, DrystoneError, NotFoundError, ReplacedError, StaleEpochError
from store.device.port import (
    FindReply,
    Garbage,
    ListReply,
    LoadReply,
    PromiseWrite,
    RowReply,
    RowWrite,
    Seen,
    SeenReply,
    UsageReply,
)
from store.device.record import Buffer
from store.device.row import STAMP_BYTES, Flag, IndexRow, Location, Row, shard_prefix
from store.engine.hint_table import hints_for
from store.engine.parts import Parts
from store.engine.room import LOOK_EVERY
from store.engine.row_table import expiries, shard_range, touched_by
from store.engine.usage import usage_key


class RowCalls(Parts):
    """What `DevicePort` says of rows."""

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        """Append a row to the log; `reply` is called when it is durable and in the row table.

        Raises DeviceError where the device is out, StaleEpochError where the ring has moved on, BusyError where too
        much is queued; and FullError where there is no room (tombstones and abort records still go in), unless it may
        use the `reserve`, as whoever brings what other replicas have already.
        """
        self._check_epoch(write.epoch)
        if not reserve:
            self.backlog.admit()
            if not write.row.flags & (Flag.TOMBSTONE | Flag.ABORT):
                self.room.check(every=2 * LOOK_EVERY)  # who writes to several devices looks sooner, before the first

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is None or self.health.failed is not None:
                reply(None, error or self.health.failed)
                return
            try:
                applied = self.row_table.apply(write.packed_key, write.row, write.value, location)
            except DrystoneError as damage:
                reply(None, damage)
                return
            except Exception as error:
                reply(None, self._raised(error))
                return
            self.backlog.changed()
            if applied.covers and not self.standing.in_sync:
                applied = applied._replace(covers=False)
            if write.row.origin is None or self.standing.has_ballots:
                reply(applied, None)
            else:
                self.standing.note_ballots(lambda error: reply(applied if error is None else None, error))

        touched: tuple[bytes, ...] = ()
        if not self._lookups.in_memory:
            touched = touched_by(write.packed_key, write.row)
            self._lookups.look()  # else, where all write and nobody reads, it would be taken to be cold for ever
        self._committer.submit(write.sealed, published, touched)

    def submit_promise(self, promise: PromiseWrite, reply: SeenReply, *, reserve: bool = False) -> None:
        """Append a promise to the log; `reply` is called when it is durable and in the row table, or is barred. Raises
        as `submit_row`."""
        self._check_epoch(promise.epoch)
        if not reserve:
            self.backlog.admit()
            self.room.check(every=2 * LOOK_EVERY)
        packed = promise.packed_key

        def published(location: Location | None, error: DrystoneError | None) -> None:
            if location is None or self.health.failed is not None:
                reply(self.id, None, error or self.health.failed)
                return
            try:
                given = self.row_table.promise(packed, promise.stamp, location)
                self.backlog.changed()
                seen = self.row_table.look(packed, believed=self.standing.in_sync, barred=not given)
            except DrystoneError as damage:
                reply(self.id, None, damage)
                return
            except Exception as error:
                reply(self.id, None, self._raised(error))
                return
            self.standing.note_ballots(lambda error: reply(self.id, seen if error is None else None, error))

        touched: tuple[bytes, ...] = ()
        if not self._lookups.in_memory:
            touched = (packed,)
            self._lookups.look()
        self._committer.submit(promise.sealed, published, touched)

    def submit_look(self, packed_key: bytes, epoch: int, reply: SeenReply) -> None:
        """What is here of a row, for a quorum: at once where the index lies in memory."""
        self._check_reader(epoch)
        self._have(packed_key, partial(self._reply, partial(self._look, packed_key), reply))

    def _look(self, packed_key: bytes) -> Seen:
        return self.row_table.look(packed_key, believed=self.standing.in_sync)

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        """What the index knows of a row. Raises DamageError where its entry is damaged: that is no absence."""
        self.health.check()
        if not self._lookups.in_memory:
            await self._lookups.fetch(packed_key)
            self.health.check()
        return self.row_table.row(packed_key)

    async def find_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        """The version of a row, packed, or None where there is none: what a second replica is asked. Raises as
        `find_row`, and BusyError where it is to be `believed` and is not in sync."""
        self.health.check()
        if not self._lookups.in_memory:
            await self._lookups.fetch(packed_key)
            self.health.check()
        if believed:
            self._check_in_sync()
        value = self.row_table.row_value(packed_key)
        return None if value is None else value[:STAMP_BYTES]

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        """Look a row up for a quorum: at once where the index lies in memory."""
        standing = self.standing
        if epoch < standing.enforced or not standing.in_sync or self.health.failed is not None:
            self._check_reader(epoch)
        if self._lookups.in_memory:
            self._answer(packed_key, reply, None)
        else:
            self._lookups.submit(packed_key, partial(self._answer, packed_key, reply))

    def _answer(self, packed_key: bytes, reply: FindReply, error: DrystoneError | None) -> None:
        """Its entry is in memory now, or cannot be had."""
        value = None
        error = self.health.failed or error
        if error is None:
            try:
                value = self.row_table.row_value(packed_key)
            except DrystoneError as damage:
                error = damage
        reply(self.id, value, error)

    def payload_at_hand(self, row: IndexRow) -> Buffer | None:
        """The payload of a row where the page cache has it; None else, and where it is damaged or has been moved."""
        return self.reads.payload_at_hand(row.location) if self.health.failed is None else None

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        """The whole row (its payload only if asked for), verified. Raises DamageError, and reports it; ReplacedError
        where the row has changed since `row` was looked up and its old record is no more."""
        return await self._answer_of(partial(self.submit_load, packed_key, row, payload=payload))

    def submit_load(self, packed_key: bytes, row: IndexRow, reply: LoadReply, *, payload: bool) -> None:
        """The same: at once where the page cache has it."""
        self.health.check()
        loaded = partial(self._loaded, packed_key, row, row.location, payload, reply)
        self.reads.submit_row(row.location, loaded, payload=payload)

    def submit_version(self, packed_key: bytes, stamp: bytes, reply: LoadReply, *, payload: bool) -> None:
        """The whole row, verified, if it has just this version. NotFoundError where it has none or an older one,
        ReplacedError where it has a newer one."""
        self.health.check()
        self._have(packed_key, partial(self._load_version, packed_key, stamp, payload, reply))

    def _load_version(
        self, packed_key: bytes, stamp: bytes, payload: bool, reply: LoadReply, error: DrystoneError | None
    ) -> None:
        """Its entry is in memory now, or cannot be had."""
        try:
            if error is not None:
                raise error
            row = self.row_table.row(packed_key)
            if row is None or row.stamp < stamp:
                raise NotFoundError("it has not this version")
            if row.stamp > stamp:
                raise ReplacedError("it has a newer version")
        except DrystoneError as failure:
            reply(self.id, None, failure)
        else:
            loaded = partial(self._loaded, packed_key, row, row.location, payload, reply)
            self.reads.submit_row(row.location, loaded, payload=payload)

    def _loaded(
        self,
        packed_key: bytes,
        row: IndexRow,
        location: Location,
        payload: bool,
        reply: LoadReply,
        whole: Row | None,
        error: DrystoneError | None,
    ) -> None:
        if isinstance(error, DamageError):
            # Compaction may have moved it since the index was read: then look again.
            self._have(packed_key, partial(self._load_again, packed_key, row, location, payload, reply, error))
        else:
            reply(self.id, whole, error)

    def _load_again(
        self,
        packed_key: bytes,
        row: IndexRow,
        location: Location,
        payload: bool,
        reply: LoadReply,
        damage: DamageError,
        error: DrystoneError | None,
    ) -> None:
        try:
            if error is not None:
                raise error
            now = self.row_table.row(packed_key)
            if now is None or now.stamp != row.stamp:
                raise ReplacedError("the row changed while it was read") from damage
            if now.location == location:
                self.report_damage(packed_key, str(damage))
                raise damage
        except DrystoneError as failure:
            reply(self.id, None, failure)
        else:
            loaded = partial(self._loaded, packed_key, row, now.location, payload, reply)
            self.reads.submit_row(now.location, loaded, payload=payload)

    async def list_rows(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> list[tuple[bytes, bytes]]:
        """(packed key, index value) of up to `limit` rows of a shard with start <= name < stop, tombstones too, in the
        order of names. Verified but not decoded: what two replicas have alike is decoded once.

        Raises DamageError where one of them is damaged: a page must not leave out what it cannot tell.
        """
        span = (ring_hash, table, shard, start, stop, limit)
        return await self._answer_of(
            lambda reply: self.submit_list(*span, reply, epoch=epoch, reverse=reverse, verified=verified)
        )

    def submit_list(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        reply: ListReply,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> None:
        """The same for a quorum: at once where the index lies in memory."""
        self._check_reader(epoch)
        span = shard_range(ring_hash, table, shard, start, stop)
        look = partial(
            self.row_table.shard_entries,
            ring_hash,
            table,
            shard,
            start,
            stop,
            limit,
            reverse=reverse,
            verified=verified,
        )
        self._fetched(
            lambda fetched: self._lookups.submit_range(*span, limit + 1, fetched, reverse=reverse),
            partial(self._reply, look, reply),
        )

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        """(packed key, row) of all shards behind a packed key, and the key to go on behind (empty at the end)."""
        await self._have_range(after, b"s", limit)
        return self.row_table.walk_rows(after, limit)

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        """The same of packed keys alone, those of damaged entries too."""
        await self._have_range(after, b"s", limit)
        return self.row_table.walk_keys(after, limit)

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows."""
        return await self._answer_of(lambda reply: self.submit_usage(ring_hash, table, shard, reply, epoch=epoch))

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        """The same for a quorum: at once where the index lies in memory."""
        self._check_reader(epoch)
        look = partial(self.row_table.usage, ring_hash, table, shard)
        self._have(usage_key(shard_prefix(ring_hash, table, shard)), partial(self._reply, look, reply))

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        """(expires, packed key) of rows that expire before a time in seconds, soonest first; behind `after`."""
        await self._have_range(*expiries(before, after), limit)
        return self.row_table.expired(before, limit, after)

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        """No row of this key expires then."""
        self.row_table.forget_expiry(expires, packed_key)
        self.backlog.changed()

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        """Displaced data behind the data id `after` that are not confirmed as dropped."""
        await self._have_range(b"g" + after, b"h", limit)
        return self.row_table.garbage(after, limit)

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) of tombstones behind the packed key `after`."""
        await self._have_range(b"t" + after, b"u", limit)
        return self.row_table.tombstones(after, limit)

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Forget a tombstone that every replica has, if it is still this version. Until it is released nothing older is
        taken in its place."""
        if self.row_table.retire(packed_key, stamp):
            self.backlog.changed()

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) behind the packed key `after` of tombstones that are retired and not released."""
        await self._have_range(b"f" + after, b"g", limit)
        return self.row_table.retired(after, limit)

    async def retired_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        """The version of this key's tombstone that is retired here and not released; `believed` as of `find_stamp`."""
        if believed:
            self._check_in_sync()
        return self.row_table.retired_stamp(packed_key)

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Every replica has retired this tombstone, durably."""
        self.row_table.release(packed_key, stamp)
        self.backlog.changed()

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(data id, the intent's packed key) behind the data id `after`, of uploads that were neither committed nor
        given up for good."""
        await self._have_range(b"u" + after, b"v", limit)
        return self.row_table.uploads(after, limit)

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        """Packed keys behind `after` of rows that the log held behind the index when the device was opened: other
        replicas may not have them."""
        await self._have_range(b"q" + after, b"r", limit)
        return self.row_table.in_doubt(after, limit)

    def note_in_doubt(self, packed_key: bytes) -> None:
        """Have a row here resolved: other replicas may not have it, and its writer may be gone."""
        self.row_table.note_in_doubt(packed_key)
        self.backlog.changed()

    def settled(self, packed_key: bytes, stamp: bytes) -> None:
        """All replicas have answered a row. Nothing is to be done: those that write here are of this process, and are
        asked (`on_flush`) before the index is written."""

    def forget_in_doubt(self, packed_key: bytes) -> None:
        """All replicas of a row were asked."""
        self.row_table.forget_in_doubt(packed_key)
        self.backlog.changed()

    def forget_garbage(self, data_id: bytes) -> None:
        """Displaced data were dropped everywhere."""
        self.row_table.forget_garbage(data_id)
        self.backlog.changed()

    # -- hints: what other devices lack --------------------------------------------------------------------------

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Keep in mind that another device lacks what this index key names."""
        self._hints.note(device, key, noted_us)
        self.backlog.changed()

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        """(index key, when it was noted) of what another device lacks, behind the key `after`."""
        await self._have_range(*hints_for(device, after), limit)
        self._check_in_sync()
        return self._hints.page(device, after, limit)

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Another device has what it lacked at that time."""
        self._hints.forget(device, key, noted_us)
        self.backlog.changed()

    async def hinted(self) -> list[int]:
        """The devices that this one keeps hints for."""
        await self._have_range(b"w", b"x", 1)
        return self._hints.devices()

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        """Remove a tombstone or intent that every replica has, if it is still this version."""
        if self.row_table.forget(packed_key, stamp):
            self.backlog.changed()

    async def discard_row(self, packed_key: bytes) -> None:
        """Remove a row that this device should not have, whatever it is, even if its entry is damaged."""
        try:
            stamp = await self.find_stamp(packed_key)
        except DamageError:
            self.row_table.discard(packed_key)
            self.backlog.changed()
        else:
            if stamp is not None:
                self.forget_row(packed_key, stamp)

    def _check_reader(self, epoch: int) -> None:
        """The same, and whether it may be believed."""
        self._check_epoch(epoch)
        self._check_in_sync()

    def _check_in_sync(self) -> None:
        if not self.standing.in_sync:
            raise BusyError(f"device {self.id} is not in sync: what it has not may be there")

    def _check_epoch(self, epoch: int) -> None:
        """Whether it is there, and was chosen by a ring that is not too old."""
        if self.health.failed is not None:
            raise self.health.failed
        if epoch < self.standing.enforced:
            raise StaleEpochError(f"device {self.id} refuses epoch {epoch}: the ring is at {self.standing.enforced}")
