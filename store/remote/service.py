"""Who answers for the devices of this process: requests of other processes become calls of `DevicePort`.

One `DeviceService` for the process, one `_Session` for each link. What a link asks of a device is checked to be of the
right form before the device is called, so that nothing is half done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import trio

from store.core.errors import DeviceError, DrystoneError
from store.device.block import BlockKey, decode_meta
from store.device.port import Applied, DevicePort
from store.device.record import Kind, Sealed
from store.device.row import Row
from store.remote import methods
from store.remote.state import State, gone, state_of
from store.remote.unsettled import Unsettled
from store.remote.values import block_key, index_row, join_sealed, pack_row, promise_write, row_key, row_write
from store.wire.server import Call, Peer

NEWS_SECONDS: Final = 0.1
"""So often it is looked whether there is news."""


class DeviceService:
    """Answers for `devices`, which may change: a device that is opened anew has the number of the one before it."""

    def __init__(self, devices: Mapping[int, DevicePort], on_in_doubt: Callable[[], None]) -> None:
        """`on_in_doubt` is called when rows have come to be in doubt whose writer is gone."""
        self._devices = devices
        self._on_in_doubt = on_in_doubt
        self._unsettled: dict[_Session, Unsettled] = {}

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        session = _Session(self._devices, self)
        self._unsettled[session] = Unsettled()
        peer.handlers.update(session.handlers())
        peer.on_gone.append(partial(self._gone, session))

    def note_late(self, device: DevicePort) -> None:
        """Have the rows in doubt that other processes wrote and have not settled. To be called before the device's
        index is written (`DevicePort.on_flush`)."""
        for unsettled in self._unsettled.values():
            unsettled.note(device)

    def _gone(self, session: _Session) -> None:
        """Nobody will settle what is not: the writer's process may have ended."""
        left = list(self._unsettled.pop(session))
        for number, packed_key, stamp in left:
            self._leave(number, packed_key, stamp)
        if left:
            self._on_in_doubt()

    def _leave(self, number: int, packed_key: bytes, stamp: bytes) -> None:
        """Put in doubt what nobody will settle."""
        for unsettled in self._unsettled.values():
            unsettled.leave(number, packed_key, stamp)
        device = self._devices.get(number)
        if device is not None:
            device.note_in_doubt(packed_key)

    def took_effect(self, session: _Session, number: int, packed_key: bytes, stamp: bytes) -> None:
        """A row has, of a writer that may be gone by now."""
        unsettled = self._unsettled.get(session)
        if unsettled is not None:
            unsettled.add(number, packed_key, stamp)
        else:
            self._leave(number, packed_key, stamp)
            self._on_in_doubt()

    def settle(self, session: _Session, device: DevicePort, packed_key: bytes, stamp: bytes) -> None:
        """A writer says that a row is settled."""
        taken_back = self._unsettled[session].settle(device.id, packed_key, stamp)
        if taken_back and not any(each.doubts(device.id, packed_key, stamp) for each in self._unsettled.values()):
            device.forget_in_doubt(packed_key)


class _Session:
    """What one peer has under way with the devices here."""

    def __init__(self, devices: Mapping[int, DevicePort], service: DeviceService) -> None:
        self._devices = devices
        self._service = service
        self._lost: dict[int, list[int]] = {}
        """By device: requests of references whose payload is lost, since the last sync."""

    def handlers(self) -> dict[str, Callable[[Call], None]]:
        handlers: dict[str, Callable[..., None]] = {
            methods.ROW: self._row,
            methods.PROMISE: self._promise,
            methods.SETTLED: self._settled,
            methods.WAIT_FOR_INDEX: self._wait_for_index,
            methods.FIND: self._find,
            methods.LOOK: self._look,
            methods.FIND_ROW: self._find_row,
            methods.FIND_STAMP: self._find_stamp,
            methods.LOAD: self._load,
            methods.VERSION: self._version,
            methods.LIST: self._list,
            methods.WALK_ROWS: self._walk_rows,
            methods.WALK_KEYS: self._walk_keys,
            methods.USAGE: self._usage,
            methods.FORGET_ROW: self._forget_row,
            methods.DISCARD_ROW: self._discard_row,
            methods.EXPIRED: self._expired,
            methods.FORGET_EXPIRY: self._forget_expiry,
            methods.GARBAGE: self._garbage,
            methods.FORGET_GARBAGE: self._forget_garbage,
            methods.TOMBSTONES: self._tombstones,
            methods.RETIRE_TOMBSTONE: self._retire_tombstone,
            methods.RETIRED_TOMBSTONES: self._retired_tombstones,
            methods.RETIRED_STAMP: self._retired_stamp,
            methods.RELEASE_TOMBSTONE: self._release_tombstone,
            methods.UPLOADS: self._uploads,
            methods.IN_DOUBT: self._in_doubt,
            methods.NOTE_IN_DOUBT: self._note_in_doubt,
            methods.FORGET_IN_DOUBT: self._forget_in_doubt,
            methods.NOTE_HINT: self._note_hint,
            methods.HINTS: self._hints,
            methods.FORGET_HINT: self._forget_hint,
            methods.HINTED: self._hinted,
            methods.BLOCK: self._block,
            methods.FENCED_BLOCK: self._fenced_block,
            methods.FENCE: self._fence,
            methods.FORGET_FENCE: self._forget_fence,
            methods.REFERENCE: self._reference,
            methods.SYNC: self._sync,
            methods.READ: self._read,
            methods.VERIFY_BLOCK: self._verify_block,
            methods.HAS_BLOCKS: self._has_blocks,
            methods.OWNERS: self._owners,
            methods.DROP: self._drop,
            methods.FLUSH: self._flush,
            methods.DRAIN: self._drain,
            methods.SET_IN_SYNC: self._set_in_sync,
            methods.ENFORCE: self._enforce,
        }
        checked = {name: partial(self._take, methods.ARGUMENTS[name], handler) for name, handler in handlers.items()}
        return {methods.NEWS: self._news, **checked}

    def _take(self, checks: tuple[Callable[[Any], bool], ...], handler: Callable[..., None], call: Call) -> None:
        """Check what a call brings, and have it handled. Raises TypeError, ValueError."""
        number, *arguments = call.arguments
        if len(arguments) != len(checks):
            raise TypeError(f"{len(checks)} arguments are taken")
        for check, argument in zip(checks, arguments, strict=True):
            if not check(argument):
                raise TypeError(f"what is no {check.__name__.replace('_', ' ')} where one is taken")
        device = self._devices.get(number)
        if device is None:
            raise DeviceError(f"device {number} is not open here")
        handler(call, device, *arguments)

    # -- how they are --------------------------------------------------------------------------------------------

    def _news(self, call: Call) -> None:
        (numbers,) = call.arguments
        call.begin(partial(self._tell_news, call, list(map(int, numbers))))

    async def _tell_news(self, call: Call, numbers: list[int]) -> None:
        told: dict[int, State] = {}
        while True:
            for number in numbers:
                device = self._devices.get(number)
                state = gone(number, f"device {number} is not open") if device is None else state_of(device)
                if told.get(number) != state:
                    told[number] = state
                    await call.send(state)
            await trio.sleep(NEWS_SECONDS)

    # -- rows ----------------------------------------------------------------------------------------------------

    def _row(self, call: Call, device: DevicePort, epoch: int, reserve: bool, sums: bytes, meta: bytes) -> None:
        write = row_write(epoch, sums, meta, call.payload)
        stamp = write.value.stamp

        def reply(applied: Applied | None, error: DrystoneError | None) -> None:
            if applied is None:
                call.refuse(error or DeviceError(f"device {device.id} gave no answer"))
                return
            if not applied.refused and applied.stamp == stamp:
                self._service.took_effect(self, device.id, write.packed_key, stamp)
            call.answer(applied)

        device.submit_row(write, reply, reserve=reserve)

    def _promise(self, call: Call, device: DevicePort, epoch: int, reserve: bool, meta: bytes) -> None:
        device.submit_promise(promise_write(epoch, meta), partial(_reply, call), reserve=reserve)

    def _settled(self, _call: Call, device: DevicePort, settled: list[Any]) -> None:
        for packed_key, stamp in settled:
            self._service.settle(self, device, packed_key, stamp)

    def _wait_for_index(self, call: Call, device: DevicePort) -> None:
        call.begin(device.wait_for_index)

    def _find(self, call: Call, device: DevicePort, packed_key: bytes, epoch: int) -> None:
        device.submit_find(packed_key, epoch, partial(_reply, call))

    def _look(self, call: Call, device: DevicePort, packed_key: bytes, epoch: int) -> None:
        device.submit_look(packed_key, epoch, partial(_reply, call))

    def _find_row(self, call: Call, device: DevicePort, packed_key: bytes) -> None:
        call.begin(partial(device.find_row, packed_key))

    def _find_stamp(self, call: Call, device: DevicePort, packed_key: bytes, believed: bool) -> None:
        call.begin(partial(device.find_stamp, packed_key, believed=believed))

    def _load(self, call: Call, device: DevicePort, packed_key: bytes, fields: list[Any], payload: bool) -> None:
        row = index_row(fields)
        if row is None:
            raise ValueError("no row to load")
        device.submit_load(packed_key, row, partial(_loaded, call), payload=payload)

    def _version(self, call: Call, device: DevicePort, packed_key: bytes, stamp: bytes, payload: bool) -> None:
        device.submit_version(packed_key, stamp, partial(_loaded, call), payload=payload)

    def _list(
        self,
        call: Call,
        device: DevicePort,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        epoch: int,
        reverse: bool,
        verified: bool,
    ) -> None:
        device.submit_list(
            ring_hash, table, shard, start, stop, limit, partial(_reply, call),
            epoch=epoch, reverse=reverse, verified=verified,
        )  # fmt: skip

    def _walk_rows(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.walk_rows, after, limit))

    def _walk_keys(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.walk_keys, after, limit))

    def _usage(self, call: Call, device: DevicePort, ring_hash: int, table: bytes, shard: int, epoch: int) -> None:

        def reply(_device: int, count: dict[int, tuple[int, int]] | None, error: DrystoneError | None) -> None:
            if count is None:
                call.refuse(error or DeviceError("no answer"))
            else:
                call.answer([(policy, *each) for policy, each in count.items()])

        device.submit_usage(ring_hash, table, shard, reply, epoch=epoch)

    def _forget_row(self, call: Call, device: DevicePort, packed_key: bytes, stamp: bytes) -> None:
        device.forget_row(packed_key, stamp)

    def _discard_row(self, call: Call, device: DevicePort, packed_key: bytes) -> None:
        call.begin(partial(device.discard_row, packed_key))

    # -- what is derived from rows -------------------------------------------------------------------------------

    def _expired(self, call: Call, device: DevicePort, before: int, limit: int, after: list[Any] | None) -> None:
        call.in_background()
        call.begin(partial(device.expired, before, limit, None if after is None else (after[0], after[1])))

    def _forget_expiry(self, call: Call, device: DevicePort, expires: int, packed_key: bytes) -> None:
        device.forget_expiry(expires, packed_key)

    def _garbage(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.garbage, after, limit))

    def _forget_garbage(self, call: Call, device: DevicePort, data_id: bytes) -> None:
        device.forget_garbage(data_id)

    def _tombstones(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.tombstones, after, limit))

    def _retire_tombstone(self, call: Call, device: DevicePort, packed_key: bytes, stamp: bytes) -> None:
        device.retire_tombstone(packed_key, stamp)

    def _retired_tombstones(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.retired_tombstones, after, limit))

    def _retired_stamp(self, call: Call, device: DevicePort, packed_key: bytes, believed: bool) -> None:
        call.begin(partial(device.retired_stamp, packed_key, believed=believed))

    def _release_tombstone(self, call: Call, device: DevicePort, packed_key: bytes, stamp: bytes) -> None:
        device.release_tombstone(packed_key, stamp)

    def _uploads(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.uploads, after, limit))

    def _in_doubt(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.in_doubt, after, limit))

    def _note_in_doubt(self, call: Call, device: DevicePort, packed_key: bytes) -> None:
        device.note_in_doubt(packed_key)

    def _forget_in_doubt(self, call: Call, device: DevicePort, packed_key: bytes) -> None:
        device.forget_in_doubt(packed_key)

    # -- hints ---------------------------------------------------------------------------------------------------

    def _note_hint(self, call: Call, device: DevicePort, other: int, key: bytes, noted_us: int) -> None:
        device.note_hint(other, key, noted_us)

    def _hints(self, call: Call, device: DevicePort, other: int, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.hints, other, after, limit))

    def _forget_hint(self, call: Call, device: DevicePort, other: int, key: bytes, noted_us: int) -> None:
        device.forget_hint(other, key, noted_us)

    def _hinted(self, call: Call, device: DevicePort) -> None:
        call.begin(device.hinted)

    # -- data ----------------------------------------------------------------------------------------------------

    def _block(self, call: Call, device: DevicePort, key: list[Any], cached: bool, sums: bytes, meta: bytes) -> None:
        device.submit_block(*_block_of(call, key, sums, meta), partial(_done, call), cached=cached)

    def _fenced_block(
        self, call: Call, device: DevicePort, key: list[Any], cached: bool, epoch: int, sums: bytes, meta: bytes
    ) -> None:
        device.submit_block(*_block_of(call, key, sums, meta), partial(_done, call), cached=cached, epoch=epoch)

    def _fence(self, call: Call, device: DevicePort, data_id: bytes, epoch: int) -> None:
        device.submit_fence(data_id, epoch, partial(_reply, call))

    def _forget_fence(self, call: Call, device: DevicePort, data_id: bytes) -> None:
        device.forget_fence(data_id)

    def _reference(self, call: Call, device: DevicePort, key: list[Any], source: list[Any], owner: list[Any]) -> None:

        def lost(_error: DrystoneError | None) -> None:
            self._lost.setdefault(device.id, []).append(call.number)

        device.submit_reference(block_key(key), block_key(source), row_key(owner), partial(_done, call), lost)

    def _sync(self, call: Call, device: DevicePort, losses: int) -> None:

        def done(error: DrystoneError | None) -> None:
            if error is not None:
                call.refuse(error)  # what is lost is told with the next that succeeds: this may be another's
            else:
                call.answer(self._lost.pop(device.id, []))

        device.submit_sync(losses, done)

    def _read(self, call: Call, device: DevicePort, key: list[Any], start: int, stop: int | None) -> None:

        def reply(_device: int, piece: memoryview | None, error: DrystoneError | None) -> None:
            if piece is None:
                call.refuse(error or DeviceError("no answer"))
            else:
                call.answer(None, piece)

        if stop is not None and stop < start:
            raise ValueError("it ends before it begins")
        device.submit_read(block_key(key), start, stop, reply)

    def _verify_block(self, call: Call, device: DevicePort, key: list[Any]) -> None:
        call.begin(partial(device.verify_block, block_key(key)))

    def _has_blocks(self, call: Call, device: DevicePort, data_id: bytes) -> None:
        call.begin(partial(device.has_blocks, data_id))

    def _owners(self, call: Call, device: DevicePort, after: bytes, limit: int) -> None:
        call.in_background()
        call.begin(partial(device.owners, after, limit))

    def _drop(self, call: Call, device: DevicePort, data_id: bytes) -> None:
        device.submit_drop(data_id, partial(_done, call))

    # -- the whole -----------------------------------------------------------------------------------------------

    def _flush(self, call: Call, device: DevicePort) -> None:
        call.begin(device.flush)

    def _drain(self, call: Call, device: DevicePort) -> None:
        call.begin(device.drain)

    def _set_in_sync(self, call: Call, device: DevicePort, in_sync: bool) -> None:

        async def work() -> State:
            await device.set_in_sync(in_sync=in_sync)
            return state_of(device)

        call.begin(work)

    def _enforce(self, call: Call, device: DevicePort, epoch: int) -> None:

        async def work() -> State:
            await device.enforce(epoch)
            return state_of(device)

        call.begin(work)


def _block_of(call: Call, key: list[Any], sums: bytes, meta: bytes) -> tuple[BlockKey, Sealed]:
    """A block that is to be written. Raises DamageError, and TypeError or ValueError where it is none."""
    named, sealed = block_key(key), join_sealed(Kind.BLOCK, sums, meta, call.payload)
    if decode_meta(meta)[0] != named:
        raise ValueError("a record of another block")
    return named, sealed


def _reply(call: Call, _device: int, answer: Any, error: DrystoneError | None) -> None:
    if error is not None:
        call.refuse(error)
    else:
        call.answer(answer)


def _loaded(call: Call, _device: int, whole: Row | None, error: DrystoneError | None) -> None:
    if whole is None:
        call.refuse(error or DeviceError("no answer"))
    else:
        call.answer(*pack_row(whole))


def _done(call: Call, error: DrystoneError | None) -> None:
    if error is not None:
        call.refuse(error)
    else:
        call.answer()
