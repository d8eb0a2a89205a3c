"""A device of another process, by `DevicePort`: each call is a request over one of two links.

Everything about rows goes over the one, so that calls about a key take effect in their order; blocks over the other,
with the syncs behind them, so that a row does not wait behind megabytes. What is sent while there is no link is an
error at once, what was under way when a link broke is answered with one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio

from store.core.errors import DeviceError, DrystoneError
from store.device.block import BlockKey
from store.device.port import (
    Done,
    FindReply,
    Garbage,
    ListReply,
    LoadReply,
    PromiseWrite,
    ReadReply,
    RowReply,
    RowWrite,
    SeenReply,
    UsageReply,
)
from store.device.record import Buffer, Sealed
from store.device.row import IndexRow, Row, RowKey
from store.remote import methods
from store.remote.state import Known
from store.remote.values import applied, index_row, loaded_row, seen, split_sealed
from store.wire.client import Answer, WireClient
from store.wire.errors import ProtocolError, UnreachableError

ANSWER_SECONDS: Final = 10.0
"""What is awaited comes in so many seconds: above what the device itself waits for its disk."""
SETTLED_MAX: Final = 256
"""Rows of which it is told at once that they are settled."""


class RemoteDevice:
    """Keeps the promise of `DevicePort`. Damage is mended, and late answers are noted, by the process that has the
    device: `on_damage` and `on_flush` are never called."""

    def __init__(self, number: int, rows: WireClient, data: WireClient) -> None:
        self._number = number
        self._rows = rows
        self._data = data
        self._known = Known(number)
        self._writes: dict[int, float] = {}
        """When each write was sent that is not answered, the oldest first. Rows by their ids, blocks below zero."""
        self._settled: list[tuple[bytes, bytes]] = []
        self._lost: dict[int, Done] = {}
        """Of references that no sync is behind yet."""
        self.on_damage: Callable[[bytes], None] | None = None
        self.on_flush: Callable[[], None] | None = None
        self.on_in_sync: Callable[[], None] | None = None

    # -- how it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        return self._number

    @property
    def failed(self) -> DrystoneError | None:
        return self._known.failed

    @property
    def in_sync(self) -> bool:
        return self._known.state.in_sync

    @property
    def enforced(self) -> int:
        return self._known.state.enforced

    @property
    def full(self) -> bool:
        return self._known.state.full

    @property
    def crowded(self) -> bool:
        return self._known.state.crowded

    @property
    def slow(self) -> float:
        oldest = next(iter(self._writes.values()), None)
        here = 0.0 if oldest is None else trio.current_time() - oldest
        return max(here, self._known.slow)

    @property
    def data_losses(self) -> int:
        return self._known.state.losses

    def take_news(self, state: list[Any]) -> None:
        """How it is now, as its process says. Raises TypeError, ValueError where it says something else."""
        before = self._known.state.in_sync
        self._known.take(state)
        if before != self._known.state.in_sync and self.on_in_sync is not None:
            self.on_in_sync()

    def lose(self, why: str) -> None:
        """Its process is not reached any more."""
        self._known.lose(why)
        self._settled.clear()
        self._lost.clear()

    # -- rows ----------------------------------------------------------------------------------------------------

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        sums, meta, payload = split_sealed(write.sealed)

        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            self._writes.pop(number, None)
            if error is not None:
                reply(None, _of_device(error))
            else:
                reply(applied(result), None)

        number = self._submit(
            self._rows, methods.ROW, (self._number, write.epoch, reserve, sums, meta), answered, payload
        )
        self._writes[number] = trio.current_time()

    def submit_promise(self, promise: PromiseWrite, reply: SeenReply, *, reserve: bool = False) -> None:
        _, meta, _ = split_sealed(promise.sealed)

        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            self._writes.pop(number, None)
            self._answer_seen(result, error, reply)

        number = self._submit(self._rows, methods.PROMISE, (self._number, promise.epoch, reserve, meta), answered)
        self._writes[number] = trio.current_time()

    def submit_look(self, packed_key: bytes, epoch: int, reply: SeenReply) -> None:
        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            self._answer_seen(result, error, reply)

        self._submit(self._rows, methods.LOOK, (self._number, packed_key, epoch), answered)

    def _answer_seen(self, result: Any, error: DrystoneError | None, reply: SeenReply) -> None:
        reply(self._number, None if error is not None else seen(result), _of_device(error))

    def settled(self, packed_key: bytes, stamp: bytes) -> None:
        self._settled.append((packed_key, stamp))
        if len(self._settled) >= SETTLED_MAX:
            self.tell_settled()

    def tell_settled(self) -> None:
        """Tell which rows are settled: to be called soon after they are."""
        if self._settled:
            settled, self._settled = self._settled, []
            self._note(methods.SETTLED, settled)

    async def wait_for_index(self) -> None:
        await self._ask_for_ever(self._rows, methods.WAIT_FOR_INDEX)

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        def answered(value: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            reply(self._number, value, _of_device(error))

        self._submit(self._rows, methods.FIND, (self._number, packed_key, epoch), answered)

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        return index_row(await self._ask(methods.FIND_ROW, packed_key))

    async def find_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        stamp: bytes | None = await self._ask(methods.FIND_STAMP, packed_key, believed)
        return stamp

    def payload_at_hand(self, row: IndexRow) -> Buffer | None:
        """It never is."""
        return None

    def submit_load(self, packed_key: bytes, row: IndexRow, reply: LoadReply, *, payload: bool) -> None:
        self._submit_load(methods.LOAD, packed_key, row, payload, reply)

    def submit_version(self, packed_key: bytes, stamp: bytes, reply: LoadReply, *, payload: bool) -> None:
        self._submit_load(methods.VERSION, packed_key, stamp, payload, reply)

    def _submit_load(
        self, method: str, packed_key: bytes, version: IndexRow | bytes, payload: bool, reply: LoadReply
    ) -> None:
        def answered(result: Any, received: Buffer, error: DrystoneError | None) -> None:
            if error is not None:
                reply(self._number, None, _of_device(error))
                return
            try:
                whole = loaded_row(result, received)
            except DrystoneError as damage:
                reply(self._number, None, damage)
            else:
                reply(self._number, whole, None)

        self._submit(self._rows, method, (self._number, packed_key, version, payload), answered)

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        answer = await self._answer(self._rows, methods.LOAD, (packed_key, row, payload))
        return loaded_row(answer.result, answer.payload)

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
        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            reply(self._number, None if error is not None else _pairs(result), _of_device(error))

        span = (self._number, ring_hash, table, shard, start, stop, limit, epoch, reverse, verified)
        self._submit(self._rows, methods.LIST, span, answered)

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
        return _pairs(
            await self._ask(methods.LIST, ring_hash, table, shard, start, stop, limit, epoch, reverse, verified)
        )

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        rows, more = await self._ask(methods.WALK_ROWS, after, limit)
        return [(key, row) for key, fields in rows if (row := index_row(fields)) is not None], more

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        keys, more = await self._ask(methods.WALK_KEYS, after, limit)
        return keys, more

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            reply(self._number, None if error is not None else _usage(result), _of_device(error))

        self._submit(self._rows, methods.USAGE, (self._number, ring_hash, table, shard, epoch), answered)

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        return _usage(await self._ask(methods.USAGE, ring_hash, table, shard, epoch))

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.FORGET_ROW, packed_key, stamp)

    async def discard_row(self, packed_key: bytes) -> None:
        await self._ask(methods.DISCARD_ROW, packed_key)

    # -- what is derived from rows -------------------------------------------------------------------------------

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        return [(expires, key) for expires, key in await self._ask(methods.EXPIRED, before, limit, after)]

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        self._note(methods.FORGET_EXPIRY, expires, packed_key)

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        return [
            Garbage(data_id, RowKey(*owner), policy, summary)
            for data_id, owner, policy, summary in await self._ask(methods.GARBAGE, after, limit)
        ]

    def forget_garbage(self, data_id: bytes) -> None:
        self._note(methods.FORGET_GARBAGE, data_id)

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return _pairs(await self._ask(methods.TOMBSTONES, after, limit))

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.RETIRE_TOMBSTONE, packed_key, stamp)

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return _pairs(await self._ask(methods.RETIRED_TOMBSTONES, after, limit))

    async def retired_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        stamp: bytes | None = await self._ask(methods.RETIRED_STAMP, packed_key, believed)
        return stamp

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.RELEASE_TOMBSTONE, packed_key, stamp)

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return _pairs(await self._ask(methods.UPLOADS, after, limit))

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        keys: list[bytes] = await self._ask(methods.IN_DOUBT, after, limit)
        return keys

    def note_in_doubt(self, packed_key: bytes) -> None:
        self._note(methods.NOTE_IN_DOUBT, packed_key)

    def forget_in_doubt(self, packed_key: bytes) -> None:
        self._note(methods.FORGET_IN_DOUBT, packed_key)

    # -- hints ---------------------------------------------------------------------------------------------------

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._note(methods.NOTE_HINT, device, key, noted_us)

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        return [(key, noted_us) for key, noted_us in await self._ask(methods.HINTS, device, after, limit)]

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._note(methods.FORGET_HINT, device, key, noted_us)

    async def hinted(self) -> list[int]:
        devices: list[int] = await self._ask(methods.HINTED)
        return devices

    # -- data ----------------------------------------------------------------------------------------------------

    def submit_block(self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False) -> None:
        sums, meta, payload = split_sealed(sealed)

        def answered(_result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            self._writes.pop(-number, None)
            done(_of_device(error))

        number = self._submit(self._data, methods.BLOCK, (self._number, key, cached, sums, meta), answered, payload)
        self._writes[-number] = trio.current_time()

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        def answered(_result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            if error is not None:
                self._lost.pop(number, None)
            done(_of_device(error))

        number = self._submit(self._data, methods.REFERENCE, (self._number, key, source, owner), answered)
        self._lost[number] = lost

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        sums, meta, payload = split_sealed(sealed)
        await self._ask_for_ever(self._data, methods.BLOCK, key, False, sums, meta, payload=payload)

    def submit_sync(self, losses: int, done: Done) -> None:
        def answered(result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            for reference in [each for each in self._lost if each < number]:
                lost = self._lost.pop(reference)
                if error is None and reference in result:
                    lost(DeviceError(f"device {self._number} has lost the payload of a block while it was shared"))
            done(_of_device(error))

        number = self._submit(self._data, methods.SYNC, (self._number, losses), answered)

    async def sync_data(self, losses: int) -> None:
        answered = trio.Event()
        answers: list[DrystoneError | None] = []

        def done(error: DrystoneError | None) -> None:
            answers.append(error)
            answered.set()

        self.submit_sync(losses, done)
        await answered.wait()
        if answers[0] is not None:
            raise answers[0]

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        def answered(_result: Any, payload: Buffer, error: DrystoneError | None) -> None:
            reply(self._number, None if error is not None else memoryview(payload), _of_device(error))

        self._submit(self._data, methods.READ, (self._number, key, start, stop), answered)

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        return memoryview((await self._answer(self._data, methods.READ, (key, start, stop))).payload)

    async def verify_block(self, key: BlockKey) -> int:
        read: int = (await self._answer(self._data, methods.VERIFY_BLOCK, (key,))).result
        return read

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        blocks = (await self._answer(self._data, methods.HAS_BLOCKS, (data_id,))).result
        return [(block, fragment) for block, fragment in blocks]

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        owners, more = (await self._answer(self._data, methods.OWNERS, (after, limit))).result
        return [(data_id, RowKey(*owner)) for data_id, owner in owners], more

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        def answered(_result: Any, _payload: Buffer, error: DrystoneError | None) -> None:
            done(_of_device(error))

        self._submit(self._data, methods.DROP, (self._number, data_id), answered)

    # -- the whole -----------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        await self._ask_for_ever(self._rows, methods.FLUSH)

    async def drain(self) -> None:
        await self._ask_for_ever(self._rows, methods.DRAIN)

    async def set_in_sync(self, *, in_sync: bool) -> None:
        self.take_news(await self._ask_for_ever(self._rows, methods.SET_IN_SYNC, in_sync))

    async def enforce(self, epoch: int) -> None:
        self.take_news(await self._ask_for_ever(self._rows, methods.ENFORCE, epoch))

    # -- asking --------------------------------------------------------------------------------------------------

    def _submit(
        self,
        client: WireClient,
        method: str,
        arguments: tuple[Any, ...],
        answered: Callable[[Any, Buffer, DrystoneError | None], None],
        payload: Buffer = b"",
    ) -> int:
        if self._known.failed is not None:
            raise self._known.failed
        try:
            return client.submit(method, arguments, answered, payload)
        except UnreachableError as error:
            raise DeviceError(f"device {self._number} cannot be reached: {error}") from error

    def _note(self, method: str, *arguments: Any) -> None:
        """What is not answered: whoever asked for it finds out by asking again."""
        try:
            self._rows.note(method, (self._number, *arguments))
        except UnreachableError:
            return

    async def _answer(
        self, client: WireClient, method: str, arguments: tuple[Any, ...], seconds: float | None = ANSWER_SECONDS,
        payload: Buffer = b"",
    ) -> Answer:  # fmt: skip
        if self._known.failed is not None:
            raise self._known.failed
        try:
            return await client.call(
                method, (self._number, *arguments), payload, seconds=seconds, background=bool(payload)
            )
        except UnreachableError as error:
            raise DeviceError(f"device {self._number} cannot be reached: {error}") from error

    async def _ask(self, method: str, *arguments: Any) -> Any:
        return (await self._answer(self._rows, method, arguments)).result

    async def _ask_for_ever(self, client: WireClient, method: str, *arguments: Any, payload: Buffer = b"") -> Any:
        """What takes as long as the disk does."""
        return (await self._answer(client, method, arguments, None, payload)).result


def _of_device(error: DrystoneError | None) -> DrystoneError | None:
    """An error as a device says it: one that is not reached is out."""
    if isinstance(error, UnreachableError | ProtocolError):
        return DeviceError(str(error))
    return error


def _pairs(found: list[list[bytes]]) -> list[tuple[bytes, bytes]]:
    return [(first, second) for first, second in found]


def _usage(found: list[list[int]]) -> dict[int, tuple[int, int]]:
    return {policy: (rows, size) for policy, rows, size in found}
