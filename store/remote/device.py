"""A device of another process, by `DevicePort`: each call is a request over one of two links.

Everything about rows goes over the one, so that calls about a key take effect in their order; blocks over the other,
with the syncs behind them, so that a row does not wait behind megabytes. What is sent while there is no link is an
error at once, what was under way when a link broke is answered with one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import trio

from store.core.errors import DeviceError, DrystoneError
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
from store.remote import answers, methods
from store.remote.state import Known
from store.remote.values import index_row, loaded_row, split_sealed
from store.wire.client import WireClient
from store.wire.errors import ProtocolError, UnreachableError

T = TypeVar("T")

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
        """Of references that no sync is behind yet, by the ids of their requests."""
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

    def lose_data(self) -> None:
        """The link of blocks broke: what it would have told of references cannot be heard any more."""
        self._tell_lost(list(self._lost), DeviceError(f"nothing was heard of device {self._number} for a while"))

    def _tell_lost(self, references: list[int], error: DeviceError) -> None:
        for reference in references:
            lost = self._lost.pop(reference, None)
            if lost is not None:
                lost(error)

    # -- rows ----------------------------------------------------------------------------------------------------

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        sums, meta, payload = split_sealed(write.sealed)

        def answered(applied: Applied | None, error: DrystoneError | None) -> None:
            self._writes.pop(number, None)
            reply(applied, error)

        arguments = (write.epoch, reserve, sums, meta)
        number = self._submit(self._rows, methods.ROW, arguments, _plain(answers.applied), answered, payload)
        self._writes[number] = trio.current_time()

    def submit_promise(self, promise: PromiseWrite, reply: SeenReply, *, reserve: bool = False) -> None:
        _, meta, _ = split_sealed(promise.sealed)

        def answered(seen: Seen | None, error: DrystoneError | None) -> None:
            self._writes.pop(number, None)
            reply(self._number, seen, error)

        arguments = (promise.epoch, reserve, meta)
        number = self._submit(self._rows, methods.PROMISE, arguments, _plain(answers.seen), answered)
        self._writes[number] = trio.current_time()

    def submit_look(self, packed_key: bytes, epoch: int, reply: SeenReply) -> None:
        take = _plain(answers.seen)
        self._submit(self._rows, methods.LOOK, (packed_key, epoch), take, partial(reply, self._number))

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
        await self._ask_for_ever(methods.WAIT_FOR_INDEX, answers.nothing)

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        take = _plain(answers.octets_or_none)
        self._submit(self._rows, methods.FIND, (packed_key, epoch), take, partial(reply, self._number))

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        return await self._ask(methods.FIND_ROW, index_row, packed_key)

    async def find_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        return await self._ask(methods.FIND_STAMP, answers.octets_or_none, packed_key, believed)

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
        arguments = (packed_key, version, payload)
        self._submit(self._rows, method, arguments, loaded_row, partial(reply, self._number))

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        return await self._answer(self._rows, methods.LOAD, (packed_key, row, payload), loaded_row)

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
        span = (ring_hash, table, shard, start, stop, limit, epoch, reverse, verified)
        self._submit(self._rows, methods.LIST, span, _plain(_PAIRS), partial(reply, self._number))

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
        span = (ring_hash, table, shard, start, stop, limit, epoch, reverse, verified)
        return await self._ask(methods.LIST, _PAIRS, *span)

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        return await self._ask(methods.WALK_ROWS, answers.walked_rows, after, limit)

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        return await self._ask(methods.WALK_KEYS, answers.walked_keys, after, limit)

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        arguments = (ring_hash, table, shard, epoch)
        self._submit(self._rows, methods.USAGE, arguments, _plain(answers.usage), partial(reply, self._number))

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        return await self._ask(methods.USAGE, answers.usage, ring_hash, table, shard, epoch)

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.FORGET_ROW, packed_key, stamp)

    async def discard_row(self, packed_key: bytes) -> None:
        await self._ask(methods.DISCARD_ROW, answers.nothing, packed_key)

    # -- what is derived from rows -------------------------------------------------------------------------------

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        return await self._ask(methods.EXPIRED, answers.list_of(answers.expiry), before, limit, after)

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        self._note(methods.FORGET_EXPIRY, expires, packed_key)

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        return await self._ask(methods.GARBAGE, answers.list_of(answers.garbage), after, limit)

    def forget_garbage(self, data_id: bytes) -> None:
        self._note(methods.FORGET_GARBAGE, data_id)

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._ask(methods.TOMBSTONES, _PAIRS, after, limit)

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.RETIRE_TOMBSTONE, packed_key, stamp)

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._ask(methods.RETIRED_TOMBSTONES, _PAIRS, after, limit)

    async def retired_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        return await self._ask(methods.RETIRED_STAMP, answers.octets_or_none, packed_key, believed)

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        self._note(methods.RELEASE_TOMBSTONE, packed_key, stamp)

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return await self._ask(methods.UPLOADS, _PAIRS, after, limit)

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        return await self._ask(methods.IN_DOUBT, answers.list_of(answers.octets), after, limit)

    def note_in_doubt(self, packed_key: bytes) -> None:
        self._note(methods.NOTE_IN_DOUBT, packed_key)

    def forget_in_doubt(self, packed_key: bytes) -> None:
        self._note(methods.FORGET_IN_DOUBT, packed_key)

    # -- hints ---------------------------------------------------------------------------------------------------

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._note(methods.NOTE_HINT, device, key, noted_us)

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        return await self._ask(methods.HINTS, answers.list_of(answers.hint), device, after, limit)

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        self._note(methods.FORGET_HINT, device, key, noted_us)

    async def hinted(self) -> list[int]:
        return await self._ask(methods.HINTED, _NUMBERS)

    # -- data ----------------------------------------------------------------------------------------------------

    def submit_block(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None
    ) -> None:
        sums, meta, payload = split_sealed(sealed)

        def answered(_nothing: None, error: DrystoneError | None) -> None:
            self._writes.pop(-number, None)
            done(error)

        take = _plain(answers.nothing)
        if epoch is None:
            arguments: tuple[Any, ...] = (key, cached, sums, meta)
            number = self._submit(self._data, methods.BLOCK, arguments, take, answered, payload)
        else:
            arguments = (key, cached, epoch, sums, meta)
            number = self._submit(self._data, methods.FENCED_BLOCK, arguments, take, answered, payload)
        self._writes[-number] = trio.current_time()

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        def answered(_nothing: None, error: DrystoneError | None) -> None:
            if error is not None:
                self._lost.pop(number, None)
            done(error)

        number = self._submit(self._data, methods.REFERENCE, (key, source, owner), _plain(answers.nothing), answered)
        self._lost[number] = lost

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        sums, meta, payload = split_sealed(sealed)
        arguments = (key, False, sums, meta)
        await self._answer(self._data, methods.BLOCK, arguments, _plain(answers.nothing), None, payload)

    def submit_sync(self, losses: int, done: Done) -> None:
        def answered(lost: list[int] | None, error: DrystoneError | None) -> None:
            if lost is not None:
                self._tell_lost(lost, DeviceError(f"device {self._number} has lost what a block was to share"))
                for reference in [each for each in self._lost if each < number]:
                    del self._lost[reference]
            done(error)

        number = self._submit(self._data, methods.SYNC, (losses,), _plain(_NUMBERS), answered)

    async def sync_data(self, losses: int) -> None:
        answered = trio.Event()
        errors: list[DrystoneError | None] = []

        def done(error: DrystoneError | None) -> None:
            errors.append(error)
            answered.set()

        self.submit_sync(losses, done)
        await answered.wait()
        if errors[0] is not None:
            raise errors[0]

    def read_now(self, key: BlockKey, start: int, stop: int) -> memoryview | None:
        return None

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        self._submit(self._data, methods.READ, (key, start, stop), _piece, partial(reply, self._number))

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        return await self._answer(self._data, methods.READ, (key, start, stop), _piece)

    async def verify_block(self, key: BlockKey) -> int:
        return await self._answer(self._data, methods.VERIFY_BLOCK, (key,), _plain(answers.number))

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        take = _plain(answers.list_of(answers.block))
        return await self._answer(self._data, methods.HAS_BLOCKS, (data_id,), take)

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        return await self._answer(self._data, methods.OWNERS, (after, limit), _plain(answers.owners))

    def submit_fence(self, data_id: bytes, epoch: int, reply: FenceReply) -> None:
        def answered(fenced: Fenced | None, error: DrystoneError | None) -> None:
            self._writes.pop(-number, None)
            reply(self._number, fenced, error)

        number = self._submit(self._data, methods.FENCE, (data_id, epoch), _plain(answers.fenced), answered)
        self._writes[-number] = trio.current_time()

    def forget_fence(self, data_id: bytes) -> None:
        self._tell(self._data, methods.FORGET_FENCE, data_id)

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        self._submit(self._data, methods.DROP, (data_id,), _plain(answers.nothing), lambda _nothing, error: done(error))

    # -- the whole -----------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        await self._ask_for_ever(methods.FLUSH, answers.nothing)

    async def drain(self) -> None:
        await self._ask_for_ever(methods.DRAIN, answers.nothing)

    async def set_in_sync(self, *, in_sync: bool) -> None:
        await self._ask_for_ever(methods.SET_IN_SYNC, self.take_news, in_sync)

    async def enforce(self, epoch: int) -> None:
        await self._ask_for_ever(methods.ENFORCE, self.take_news, epoch)

    # -- asking --------------------------------------------------------------------------------------------------

    def _submit(
        self,
        client: WireClient,
        method: str,
        arguments: tuple[Any, ...],
        take: Callable[[Any, Buffer], T],
        answered: Callable[[T | None, DrystoneError | None], None],
        payload: Buffer = b"",
    ) -> int:
        """Ask, and have `answered` called with what `take` makes of the answer, or with an error."""

        def heard(result: Any, received: Buffer, error: DrystoneError | None) -> None:
            value = None
            if error is None:
                try:
                    value = self._taken(method, take, result, received)
                except DrystoneError as reason:
                    error = reason
            answered(value, _of_device(error))

        if self._known.failed is not None:
            raise self._known.failed
        try:
            return client.submit(method, (self._number, *arguments), heard, payload)
        except UnreachableError as error:
            raise DeviceError(f"device {self._number} cannot be reached: {error}") from error

    def _taken(self, method: str, take: Callable[[Any, Buffer], T], result: Any, received: Buffer) -> T:
        """An answer. Raises DeviceError for what is none, and what the answer itself says."""
        try:
            return take(result, received)
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            raise DeviceError(f"device {self._number} answers {method} with what is no answer: {error}") from error

    def _note(self, method: str, *arguments: Any) -> None:
        """What is not answered, and is about rows."""
        self._tell(self._rows, method, *arguments)

    def _tell(self, client: WireClient, method: str, *arguments: Any) -> None:
        """What is not answered: whoever asked for it finds out by asking again."""
        try:
            client.note(method, (self._number, *arguments))
        except UnreachableError:
            return

    async def _answer(
        self, client: WireClient, method: str, arguments: tuple[Any, ...], take: Callable[[Any, Buffer], T],
        seconds: float | None = ANSWER_SECONDS, payload: Buffer = b"",
    ) -> T:  # fmt: skip
        if self._known.failed is not None:
            raise self._known.failed
        try:
            answer = await client.call(
                method, (self._number, *arguments), payload, seconds=seconds, background=bool(payload)
            )
        except UnreachableError as error:
            raise DeviceError(f"device {self._number} cannot be reached: {error}") from error
        return self._taken(method, take, *answer)

    async def _ask(self, method: str, take: Callable[[Any], T], *arguments: Any) -> T:
        return await self._answer(self._rows, method, arguments, _plain(take))

    async def _ask_for_ever(self, method: str, take: Callable[[Any], T], *arguments: Any) -> T:
        """What takes as long as the disk does."""
        return await self._answer(self._rows, method, arguments, _plain(take), None)


_PAIRS: Final = answers.list_of(answers.pair)
_NUMBERS: Final = answers.list_of(answers.number)


def _plain(take: Callable[[Any], T]) -> Callable[[Any, Buffer], T]:
    """Of an answer without a payload."""
    return lambda result, _received: take(result)


def _piece(_result: Any, received: Buffer) -> memoryview:
    return memoryview(received)


def _of_device(error: DrystoneError | None) -> DrystoneError | None:
    """An error as a device says it: one that is not reached is out."""
    if isinstance(error, UnreachableError | ProtocolError):
        return DeviceError(str(error))
    return error
