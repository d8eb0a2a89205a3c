"""A device that answers late, in another order, or never: the real one behind it, and everything that a wire may do to
what is said of it.

Calls take effect at the real device when they are made. Answers come a drawn time later, those about different keys in
any order; none comes before the call has returned, and what the real one refuses by raising is answered, as a device of
another process would. How it is (`full`, `slow` and so on) is known at once, but of one that never answers, whose calls
do not even arrive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import trio

from store.core.errors import BusyError, DrystoneError
from store.device.block import BlockKey
from store.device.port import (
    Applied,
    Done,
    Fenced,
    FenceReply,
    FindReply,
    Garbage,
    ListReply,
    LoadReply,
    PromiseWrite,
    ReadReply,
    RowReply,
    RowWrite,
    Seen,
    SeenReply,
    UsageReply,
)
from store.device.record import Buffer, Sealed
from store.device.row import IndexRow, Row, RowKey
from store.engine.device import Device

T = TypeVar("T")
Delay = Callable[[], float | None]
"""Seconds until the next answer; None: it never comes."""
DELAYS_S = [0.0, 0.0, 0.001, 0.001, 0.005, 0.005, 0.02, 0.02, 0.02, 0.08, 0.4]
"""Below and beyond what a hedged request waits."""
ANSWER_SECONDS = 5.0
"""What is awaited answers in time, or raises."""


def late(number: int) -> Delay:
    """Delays that are the same in every run."""
    random = Random(number)
    return lambda: random.choice(DELAYS_S)


def never() -> None:
    """No answer comes."""
    return


class DelayedDevice:
    """Keeps the promise of `DevicePort`."""

    def __init__(self, engine: Device, delay: Delay) -> None:
        self.engine = engine
        self._delay = delay
        self._silent_since: float | None = None
        self._free_at: dict[bytes, float] = {}
        """When the last answer about a key comes."""

    # -- how late ------------------------------------------------------------------------------------------------

    @property
    def _hangs(self) -> bool:
        return self._delay is never

    def _later(self, key: bytes, call: Callable[[], None]) -> None:
        """Answer, behind all earlier answers about this key."""
        due = self._due(key)

        async def answer() -> None:
            await trio.sleep_until(due)
            call()

        trio.lowlevel.spawn_system_task(answer)

    def _due(self, key: bytes) -> float:
        due = max(trio.current_time() + (self._delay() or 0.0), self._free_at.get(key, 0.0) + 1e-6)
        self._free_at[key] = due
        return due

    def _submit(self, key: bytes, submit: Callable[[], None], refuse: Callable[[DrystoneError], None]) -> None:
        if self._hangs:
            self._silent_since = self._silent_since or trio.current_time()
            return
        try:
            submit()
        except DrystoneError as error:
            refused = error
            self._later(key, lambda: refuse(refused))

    def _done(self, key: bytes, done: Done) -> Done:
        return lambda error: self._later(key, lambda: done(error))

    async def _answer(self, key: bytes, work: Callable[[], Awaitable[T]]) -> T:
        """What is awaited."""
        if self._hangs:
            await trio.sleep(ANSWER_SECONDS)
            raise BusyError(f"device {self.id} does not answer")
        try:
            return await work()
        finally:
            await trio.sleep_until(self._due(key))

    async def _durable(self, work: Callable[[], Awaitable[T]]) -> T:
        """What is awaited until the disk has done it, be it for ever."""
        if self._hangs:
            await trio.sleep_forever()
        return await self._answer(b"", work)

    def _say(self, say: Callable[[], None]) -> None:
        if not self._hangs:
            say()

    # -- how it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        return self.engine.id

    @property
    def failed(self) -> DrystoneError | None:
        return self.engine.failed

    @property
    def in_sync(self) -> bool:
        return self.engine.in_sync

    @property
    def enforced(self) -> int:
        return self.engine.enforced

    @property
    def full(self) -> bool:
        return not self._hangs and self.engine.full

    @property
    def crowded(self) -> bool:
        return not self._hangs and self.engine.crowded

    @property
    def slow(self) -> float:
        if self._hangs:
            return 0.0 if self._silent_since is None else trio.current_time() - self._silent_since
        return self.engine.slow

    @property
    def on_damage(self) -> Callable[[bytes], None] | None:
        return self.engine.on_damage

    @on_damage.setter
    def on_damage(self, call: Callable[[bytes], None] | None) -> None:
        self.engine.on_damage = call

    @property
    def on_flush(self) -> Callable[[], None] | None:
        return self.engine.on_flush

    @on_flush.setter
    def on_flush(self, call: Callable[[], None] | None) -> None:
        self.engine.on_flush = call

    @property
    def on_in_sync(self) -> Callable[[], None] | None:
        return self.engine.on_in_sync

    @on_in_sync.setter
    def on_in_sync(self, call: Callable[[], None] | None) -> None:
        self.engine.on_in_sync = call

    # -- rows ----------------------------------------------------------------------------------------------------

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        key = write.packed_key

        def answered(applied: Applied | None, error: DrystoneError | None) -> None:
            self._later(key, lambda: reply(applied, error))

        self._submit(
            key,
            lambda: self.engine.submit_row(write, answered, reserve=reserve),
            lambda error: reply(None, error),
        )

    def submit_promise(self, promise: PromiseWrite, reply: SeenReply, *, reserve: bool = False) -> None:
        self._submit(
            promise.packed_key,
            lambda: self.engine.submit_promise(promise, self._seen(promise.packed_key, reply), reserve=reserve),
            lambda error: reply(self.id, None, error),
        )

    def submit_look(self, packed_key: bytes, epoch: int, reply: SeenReply) -> None:
        self._submit(
            packed_key,
            lambda: self.engine.submit_look(packed_key, epoch, self._seen(packed_key, reply)),
            lambda error: reply(self.id, None, error),
        )

    def _seen(self, key: bytes, reply: SeenReply) -> SeenReply:
        def answered(number: int, seen: Seen | None, error: DrystoneError | None) -> None:
            self._later(key, lambda: reply(number, seen, error))

        return answered

    async def wait_for_index(self) -> None:
        await self.engine.wait_for_index()

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        def answered(number: int, value: bytes | None, error: DrystoneError | None) -> None:
            self._later(packed_key, lambda: reply(number, value, error))

        self._submit(
            packed_key,
            lambda: self.engine.submit_find(packed_key, epoch, answered),
            lambda error: reply(self.id, None, error),
        )

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        return await self._answer(packed_key, lambda: self.engine.find_row(packed_key))

    async def find_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        return await self._answer(packed_key, lambda: self.engine.find_stamp(packed_key, believed=believed))

    def payload_at_hand(self, row: IndexRow) -> Buffer | None:
        """It never is."""
        return None

    def submit_load(self, packed_key: bytes, row: IndexRow, reply: LoadReply, *, payload: bool) -> None:
        def answered(number: int, whole: Row | None, error: DrystoneError | None) -> None:
            self._later(packed_key, lambda: reply(number, whole, error))

        self._submit(
            packed_key,
            lambda: self.engine.submit_load(packed_key, row, answered, payload=payload),
            lambda error: reply(self.id, None, error),
        )

    def submit_version(self, packed_key: bytes, stamp: bytes, reply: LoadReply, *, payload: bool) -> None:
        def answered(number: int, whole: Row | None, error: DrystoneError | None) -> None:
            self._later(packed_key, lambda: reply(number, whole, error))

        self._submit(
            packed_key,
            lambda: self.engine.submit_version(packed_key, stamp, answered, payload=payload),
            lambda error: reply(self.id, None, error),
        )

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        return await self._answer(packed_key, lambda: self.engine.load_row(packed_key, row, payload=payload))

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
        span = (ring_hash, table, shard, start, stop, limit)

        def answered(number: int, page: list[tuple[bytes, bytes]] | None, error: DrystoneError | None) -> None:
            self._later(table, lambda: reply(number, page, error))

        self._submit(
            table,
            lambda: self.engine.submit_list(*span, answered, epoch=epoch, reverse=reverse, verified=verified),
            lambda error: reply(self.id, None, error),
        )

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
        return await self._answer(
            b"",
            lambda: self.engine.list_rows(
                ring_hash, table, shard, start, stop, limit, epoch=epoch, reverse=reverse, verified=verified
            ),
        )

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        return await self._answer(b"", lambda: self.engine.walk_rows(after, limit))

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        return await self._answer(b"", lambda: self.engine.walk_keys(after, limit))

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        def answered(number: int, count: dict[int, tuple[int, int]] | None, error: DrystoneError | None) -> None:
            self._later(table, lambda: reply(number, count, error))

        self._submit(
            table,
            lambda: self.engine.submit_usage(ring_hash, table, shard, answered, epoch=epoch),
            lambda error: reply(self.id, None, error),
        )

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        return await self._answer(b"", lambda: self.engine.usage(ring_hash, table, shard, epoch=epoch))

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        self._say(lambda: self.engine.forget_row(packed_key, stamp))

    async def discard_row(self, packed_key: bytes) -> None:
        await self._answer(packed_key, lambda: self.engine.discard_row(packed_key))

    # -- what is derived from rows -------------------------------------------------------------------------------

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        return await self._answer(b"", lambda: self.engine.expired(before, limit, after))

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        self._say(lambda: self.engine.forget_expiry(expires, packed_key))

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        return await self._answer(b"", lambda: self.engine.garbage(after, limit))

    def forget_garbage(self, data_id: bytes) -> None:
        self._say(lambda: self.engine.forget_garbage(data_id))

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._answer(b"", lambda: self.engine.tombstones(after, limit))

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._say(lambda: self.engine.retire_tombstone(packed_key, stamp))

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._answer(b"", lambda: self.engine.retired_tombstones(after, limit))

    async def retired_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        return await self._answer(packed_key, lambda: self.engine.retired_stamp(packed_key, believed=believed))

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._say(lambda: self.engine.release_tombstone(packed_key, stamp))

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._answer(b"", lambda: self.engine.uploads(after, limit))

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        return await self._answer(b"", lambda: self.engine.in_doubt(after, limit))

    def note_in_doubt(self, packed_key: bytes) -> None:
        self._say(lambda: self.engine.note_in_doubt(packed_key))

    def settled(self, packed_key: bytes, stamp: bytes) -> None:
        self._say(lambda: self.engine.settled(packed_key, stamp))

    def forget_in_doubt(self, packed_key: bytes) -> None:
        self._say(lambda: self.engine.forget_in_doubt(packed_key))

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._say(lambda: self.engine.note_hint(device, key, noted_us))

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        return await self._answer(b"", lambda: self.engine.hints(device, after, limit))

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._say(lambda: self.engine.forget_hint(device, key, noted_us))

    async def hinted(self) -> list[int]:
        return await self._answer(b"", self.engine.hinted)

    # -- data ----------------------------------------------------------------------------------------------------

    @property
    def data_losses(self) -> int:
        return self.engine.data_losses

    def submit_block(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None
    ) -> None:
        answered = self._done(key.data_id, done)
        self._submit(
            key.data_id,
            lambda: self.engine.submit_block(key, sealed, answered, cached=cached, epoch=epoch),
            done,
        )

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        answered, told = self._done(key.data_id, done), self._done(key.data_id, lost)
        self._submit(key.data_id, lambda: self.engine.submit_reference(key, source, owner, answered, told), done)

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        await self._durable(lambda: self.engine.write_block(key, sealed))

    def submit_sync(self, losses: int, done: Done) -> None:
        """Behind everything that was answered before: what is lost is told before a sync is answered."""
        last = max(self._free_at.values(), default=0.0)
        self._free_at[b""] = max(last, self._free_at.get(b"", 0.0))
        self._submit(b"", lambda: self.engine.submit_sync(losses, self._done(b"", done)), done)

    async def sync_data(self, losses: int) -> None:
        await self._durable(lambda: self.engine.sync_data(losses))

    def read_now(self, key: BlockKey, start: int, stop: int) -> memoryview | None:
        return None

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        def answered(number: int, piece: memoryview | None, error: DrystoneError | None) -> None:
            self._later(key.data_id, lambda: reply(number, piece, error))

        self._submit(
            key.data_id,
            lambda: self.engine.submit_read(key, start, stop, answered),
            lambda error: reply(self.id, None, error),
        )

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        return await self._answer(key.data_id, lambda: self.engine.read_block(key, start, stop))

    async def verify_block(self, key: BlockKey) -> int:
        return await self._answer(key.data_id, lambda: self.engine.verify_block(key))

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        return await self._answer(data_id, lambda: self.engine.has_blocks(data_id))

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        return await self._answer(b"", lambda: self.engine.owners(after, limit))

    def submit_fence(self, data_id: bytes, epoch: int, reply: FenceReply) -> None:
        def answered(number: int, fenced: Fenced | None, error: DrystoneError | None) -> None:
            self._later(data_id, lambda: reply(number, fenced, error))

        self._submit(
            data_id,
            lambda: self.engine.submit_fence(data_id, epoch, answered),
            lambda error: reply(self.id, None, error),
        )

    def forget_fence(self, data_id: bytes) -> None:
        self._say(lambda: self.engine.forget_fence(data_id))

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        self._submit(data_id, lambda: self.engine.submit_drop(data_id, self._done(data_id, done)), done)

    # -- the whole -----------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        await self._durable(self.engine.flush)

    async def drain(self) -> None:
        await self._durable(self.engine.drain)

    async def set_in_sync(self, *, in_sync: bool) -> None:
        await self._durable(lambda: self.engine.set_in_sync(in_sync=in_sync))

    async def enforce(self, epoch: int) -> None:
        await self._durable(lambda: self.engine.enforce(epoch))
