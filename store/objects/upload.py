"""One upload: bytes in, blocks out to all devices at once, MD5 beside them.

    write -> block buffer -> hash worker (MD5, checksums, erasure code) -> every device's bulk writer -> sync -> row

Data that fit into a row stay in memory and go with it. For all others a **upload intent** in the replicas of the
row-to-be says, before the first block is written, that data under this id are under way; the row's commit removes it.
The intent names the **life** of the process that uploads, a random id of its run: what it leaves when that is
over is found and ended by others (`store.replicator.upload_janitor`), so that its space comes back.

A copy within one policy sends no blocks but **block references** to those of its source (`store.device.block`), on the
same devices, and is otherwise an upload like any other: its own id, intent, sync and row.

A window bounds how many blocks are in flight. A device that fails is left behind as long as enough others remain.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import outcome
import trio

from store.core.deadline import within
from store.core.errors import BusyError, ConflictError, DeviceError, DrystoneError
from store.core.limits import BLOCK_BYTES, INLINE_BYTES_MAX
from store.core.stamp import ZERO
from store.core.wait_group import WaitGroup
from store.core.waits import waited_for_device, waited_for_workers
from store.core.worker import Worker
from store.device.block import BlockKey, encode_meta
from store.device.port import DURABLE_SECONDS, SLOW_SECONDS, DevicePort
from store.device.record import Kind, Sealed, checksums, seal
from store.device.row import UPLOAD, Flag, Row, RowKey, index_key
from store.objects.block_lengths import BlockLengths
from store.objects.buffers import BufferPool
from store.objects.erasure import codec_for
from store.objects.model import Policy
from store.objects.placement import PLACING_BYTES, Placement, choose, verdict
from store.objects.reading import read_first
from store.objects.rowcodec import DataLocation
from store.objects.rows import Rows

_SENDING = -1
"""In the place of a device, while a block is being handed to them."""
WINDOW = 4
"""Blocks of one upload in flight: enough to keep hashing, disk and network busy at once."""
REFERENCES_AT_ONCE = 256
"""Blocks of one copy: a reference is a page, so these are a batch for each device."""


class StoredData(NamedTuple):
    """The data of a row, as a copy may share them while they are pinned."""

    data_id: bytes
    size: int
    etag: str
    policy: int
    data_location: DataLocation


class DataUpload:
    """Collects data under a new id. Used by one task; callbacks of workers run on the same loop."""

    def __init__(
        self,
        rows: Rows,
        devices: Mapping[int, DevicePort],
        pool: BufferPool,
        worker: Worker,
        key: RowKey,
        policy: Policy,
        data_id: bytes,
        life: bytes,
    ) -> None:
        self._rows = rows
        self._devices = devices
        self._pool = pool
        self._worker = worker
        self._key = key
        self._policy = policy
        self.data_id = data_id
        self._life = life
        self.placement: Placement | None = None
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._etag = ""
        self._buffer: memoryview | None = None
        self._filled = 0
        self._blocks = 0
        self._window = trio.Semaphore(WINDOW, max_value=WINDOW)
        self._hashing = 0
        self._hashed = trio.Event()
        self._losses: dict[int, int] = {}
        self._failures: dict[int, BaseException] = {}
        """Each device's first: what fails after that follows from it."""
        self._on_failure: Callable[[int], None] | None = None
        self._on_known: Callable[[], None] = _nobody
        self._fatal: BaseException | None = None
        self._sent: dict[_Release, None] = {}
        """Blocks that some device has yet to write."""
        self.lacking: set[int] = set()
        """Devices that have not said that they have everything durably, but for those of which it was told (`watch`)
        that they have not."""
        self._closed = False
        self._epoch = self._missed_count = 0
        self._latest = -1
        """The device that was the last to answer."""

    # -- taking data in ------------------------------------------------------------------------------------------

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Raises QuorumError when too few devices are left to write to."""
        view = memoryview(data)
        while view:
            self._check()
            if self._buffer is None:
                self._buffer = await self._pool.take()
                self._filled = 0
            count = min(BLOCK_BYTES - self._filled, len(view))
            self._buffer[self._filled : self._filled + count] = view[:count]
            self._filled += count
            self.size += count
            view = view[count:]
            if self._filled == BLOCK_BYTES:
                await self._flush_block(None)

    async def finish(self) -> str:
        """The MD5 of everything. Data that do not fit into a row are durable at enough devices when this returns."""
        if self._etag:
            return self._etag
        if self.placement is None and self.size <= INLINE_BYTES_MAX:
            self._md5.update(self.inline)
            self._etag = self._md5.hexdigest()
            return self._etag
        if self._filled:
            await self._flush_block(self.size)
        while self._hashing:
            since = trio.current_time()
            await self._hashed.wait()
            waited_for_workers(since)
        self._check()
        await self._sync()
        self._etag = self._md5.hexdigest()
        return self._etag

    @property
    def inline(self) -> memoryview:
        """All data, where they fit into a row."""
        return (self._buffer or memoryview(b""))[: self._filled]

    def close(self) -> None:
        """Hand back what is not in flight. What is still being hashed is not sent any more: if the upload is given up,
        its data may be dropped from now on, and no block may come after that."""
        self._closed = True
        if self._buffer is not None:
            self._pool.give(self._buffer)
            self._buffer = None
            self._filled = 0

    # -- sharing blocks ------------------------------------------------------------------------------------------

    def place_beside(self, source: StoredData) -> bool:
        """Lie where the source's data lie, if that is just where they would be put now; the id changes with that."""
        assert not self.size, "shared behind what was written"
        if source.policy != self._policy.index:
            return False
        data_id = source.data_id[:PLACING_BYTES] + self.data_id[PLACING_BYTES:]
        size = source.size if source.size < BLOCK_BYTES else None
        placement = choose(self._rows.ring, self._devices, self._policy, data_id, size)
        ours, theirs = placement.data_location, source.data_location
        if not ours.k:
            ours = ours._replace(devices=tuple(sorted(ours.devices)))
            theirs = theirs._replace(devices=tuple(sorted(theirs.devices)))
        if ours != theirs:  # so it is, too, where their blocks have each its own length: ours never have
            return False
        self.data_id = data_id
        self.placement = Placement(source.data_location, placement.needed)
        return True

    async def reflink(self, source: StoredData, unpin: Callable[[], None]) -> bool:
        """Have a reference to every block of the source, which is pinned: `unpin` is called when no device needs that
        any more. They are durable at enough devices when this returns. False where too few have what they are to share:
        then all is to be written. Raises as `finish`."""
        referenced = False
        try:
            referenced = await self._reference_all(source)
        finally:
            if not referenced:
                unpin()  # what is still on its way may come to nothing: it is written over, or dropped
        if not referenced:
            self._failures.clear()
            return False
        await self._sync(unpin)
        self.size, self._etag = source.size, source.etag
        return True

    async def _reference_all(self, source: StoredData) -> bool:
        """Whether enough devices have a reference to every block."""
        await self._leave_intent()
        assert self.placement is not None
        data_location, needed = self.placement
        blocks = BlockLengths(data_location, source.size).count
        for first in range(0, blocks, REFERENCES_AT_ONCE):
            written = WaitGroup()
            waiting = Counter[int]()
            for block in range(first, min(first + REFERENCES_AT_ONCE, blocks)):
                for position, number in enumerate(data_location.devices):
                    fragment = position if data_location.k else 0
                    self._reference(number, block, fragment, source.data_id, written, waiting)
            try:
                with within(SLOW_SECONDS):
                    await written.wait()
            except BusyError as error:
                for number in +waiting:
                    self._failed(number, error)
            if len(data_location.devices) - len(self._failures) < needed:
                return False
        return True

    def _reference(
        self, number: int, block: int, fragment: int, source_id: bytes, written: WaitGroup, waiting: Counter[int]
    ) -> None:
        if number in self._failures:
            return
        key, source = BlockKey(self.data_id, block, fragment), BlockKey(source_id, block, fragment)

        def lost(error: DrystoneError | None) -> None:
            if error is not None:
                self._failed(number, error)

        def done(error: DrystoneError | None) -> None:
            lost(error)
            waiting[number] -= 1
            written.done(None)

        written.add()
        waiting[number] += 1
        try:
            device = self._devices.get(number)
            if device is None:
                raise DeviceError(f"device {number} is not there")
            device.submit_reference(key, source, self._key, done, lost)
        except DrystoneError as error:
            done(error)

    # -- sending blocks ------------------------------------------------------------------------------------------

    async def _flush_block(self, size: int | None) -> None:
        if self.placement is None:
            await self._begin(size if size is not None and size < BLOCK_BYTES else None)
        await self._open_window()
        buffer, length = self._buffer, self._filled
        assert buffer is not None
        self._buffer = None
        self._filled = 0
        block, self._blocks = self._blocks, self._blocks + 1
        self._hashing += 1
        self._worker.submit(partial(self._digest, buffer[:length]), partial(self._send, block, buffer))

    async def _open_window(self) -> None:
        """Wait until one more block may be in flight. A device that does not write what it has is left behind."""
        while True:
            since, is_full = trio.current_time(), not self._window.value
            with trio.move_on_after(SLOW_SECONDS) as waiting:
                await self._window.acquire()
            if is_full:
                waited_for_device(self._latest, since)
            if not waiting.cancelled_caught:
                return
            for release in list(self._sent):
                for number in release.leave_behind():
                    self._failed(number, BusyError(f"device {number} has not written a block"))
            self._check()

    async def _begin(self, size: int | None) -> None:
        """Choose devices, and leave an intent at the replicas of the row-to-be before anything is written."""
        self.placement = choose(self._rows.ring, self._devices, self._policy, self.data_id, size)
        await self._leave_intent()

    async def _leave_intent(self) -> None:
        self._losses = {number: self._devices[number].data_losses for number in self._live_devices()}
        intent = intent_row(self._key, self.data_id, self._life)
        self._epoch, self._missed_count = self._rows.ring.epoch, self._rows.missed_count
        await self._rows.put_new(intent, index_key(intent.key))

    def _live_devices(self) -> list[int]:
        assert self.placement is not None
        return [number for number in self.placement.data_location.devices if number in self._devices]

    def _digest(self, block: memoryview) -> list[tuple[bytes | bytearray | memoryview, bytes]]:
        """In the worker: the block into the MD5, and what to write with its checksums, by fragment."""
        self._md5.update(block)
        assert self.placement is not None
        data_location = self.placement.data_location
        if not data_location.k:
            return [(block, checksums(block))]
        fragments = codec_for(data_location.codec, data_location.k, data_location.m).encode(block)
        return [(fragment, checksums(fragment)) for fragment in fragments]

    def _send(
        self,
        block: int,
        buffer: memoryview,
        result: outcome.Maybe[list[tuple[bytes | bytearray | memoryview, bytes]]],
    ) -> None:
        """On the loop: hand the block to every device."""
        self._hashing -= 1
        assert self.placement is not None
        release = _Release(self, buffer)
        self._sent[release] = None
        if isinstance(result, outcome.Error):
            self._fatal = result.error
        elif not self._closed:
            sealed = [self._seal(block, number, *part) for number, part in enumerate(result.value)]
            erasure = self.placement.data_location.k > 0
            for position, number in enumerate(self.placement.data_location.devices):
                if number in self._failures:
                    continue
                fragment = position if erasure else 0
                key = BlockKey(self.data_id, block, fragment)
                cached = read_first(self.placement.data_location, block, position)
                self._send_to(number, key, sealed[fragment], release, cached=cached)
        release.sent()
        if not self._hashing:
            self._hashed.set()
            self._hashed = trio.Event()

    def _seal(self, block: int, fragment: int, payload: bytes | bytearray | memoryview, sums: bytes) -> Sealed:
        meta = encode_meta(BlockKey(self.data_id, block, fragment), self._key)
        return seal(Kind.BLOCK, meta, payload, sums)

    def _send_to(self, number: int, key: BlockKey, sealed: Sealed, release: _Release, *, cached: bool) -> None:
        device = self._devices.get(number)
        try:
            if device is None:
                raise DeviceError(f"device {number} is not there")
            release.added(number)
            device.submit_block(key, sealed, partial(self._written, number, release), cached=cached)
        except DrystoneError as error:
            self._written(number, release, error)

    def _written(self, number: int, release: _Release, error: DrystoneError | None) -> None:
        self._latest = number
        if error is not None:
            self._failed(number, error)
        release.done(number)

    def written(self, release: _Release) -> None:
        """No device that counts has this block still to write: the next may come."""
        if release in self._sent:
            del self._sent[release]
            self._window.release()

    def released(self, buffer: memoryview) -> None:
        """No device needs this block's buffer any more."""
        self._pool.give(buffer)

    def _check(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if self.placement is None:
            return
        data_location, needed = self.placement
        left = [number for number in data_location.devices if number not in self._failures]
        if len(left) < needed:
            raise verdict("writing data", needed, len(left), self._failures)

    async def _sync(self, on_last: Callable[[], None] | None = None) -> None:
        """Wait until enough devices have everything durably. The others go on by themselves; `on_last` is called when
        the last of them has answered."""
        assert self.placement is not None
        vote = _Vote(self.placement.needed, on_last)
        self.lacking = set(self.placement.data_location.devices)
        for number in sorted(self.lacking.difference(self._failures)):
            vote.begun()
            try:
                self._devices[number].submit_sync(self._losses[number], partial(self._synced, number, vote))
            except DrystoneError as error:
                self._synced(number, vote, error)
        since = trio.current_time()
        try:
            with within(DURABLE_SECONDS):
                await vote.wait()
        except BusyError as error:
            for number in self.lacking:
                self._failed(number, error)
        waited_for_device(self._latest, since)
        self._check()

    def _synced(self, number: int, vote: _Vote, error: DrystoneError | None) -> None:
        self._latest = number
        if error is not None:
            self._failed(number, error)
        elif number not in self._failures:
            self._known(number)
        vote.answered(good=number not in self._failures)

    @property
    def intent_is_gone(self) -> bool:
        """Whether a commit has removed the intent everywhere: perhaps not if the ring has changed since the intent was
        written, or if a replica did not take something since."""
        return (self._epoch, self._missed_count) == (self._rows.ring.epoch, self._rows.missed_count)

    async def check_intent(self) -> None:
        """To be asked before the commit. Raises ConflictError where others have given the upload up, and perhaps
        forgotten that: they took this process for dead, and the ring has taken a step since by which such things are
        forgotten."""
        if self.placement is None or self._rows.ring.collected <= self._epoch:
            return
        key = intent_row(self._key, self.data_id, self._life).key
        found = await self._rows.read(key, index_key(key))
        if found is None or found.row.flags & Flag.ABORT:
            raise ConflictError("the upload was given up")

    def _failed(self, number: int, error: BaseException) -> None:
        self._failures.setdefault(number, error)
        if self._on_failure is not None:
            self._on_failure(number)
            self._known(number)

    def _known(self, number: int) -> None:
        self.lacking.discard(number)
        if not self.lacking:
            self._on_known()

    def watch(self, on_failure: Callable[[int], None], on_known: Callable[[], None]) -> None:
        """Have `on_failure` called with each device that should have the data and is known not to have them: those that
        the commit did not wait for may say so later. And `on_known` when that is known of all."""
        self._on_failure, self._on_known = on_failure, on_known
        for number in list(self._failures):
            self._on_failure(number)
            self.lacking.discard(number)
        if not self.lacking:
            on_known()


class _Release:
    """Gives a block's buffer back when the last device has written it; the next block may come when the last has that
    is not left behind."""

    def __init__(self, upload: DataUpload, buffer: memoryview) -> None:
        self._upload = upload
        self._buffer = buffer
        self._writing = {_SENDING}

    def added(self, number: int) -> None:
        self._writing.add(number)

    def done(self, number: int) -> None:
        self._writing.discard(number)
        if not self._writing:
            self._upload.written(self)
            self._upload.released(self._buffer)

    def sent(self) -> None:
        self.done(_SENDING)

    def leave_behind(self) -> list[int]:
        """Wait no more for the devices that have it still to write: which these are."""
        self._upload.written(self)
        return [number for number in self._writing if number != _SENDING]


class _Vote:
    """Waits for `needed` good answers, or for the last of all."""

    def __init__(self, needed: int, on_last: Callable[[], None] | None) -> None:
        self._needed = needed
        self._on_last = on_last
        self._open = 1  # held until `wait`, so that answers which come at once do not end it early
        self._decided = trio.Event()

    def begun(self) -> None:
        self._open += 1

    def answered(self, *, good: bool) -> None:
        self._needed -= good
        self._close_one()

    def _close_one(self) -> None:
        self._open -= 1
        if self._needed <= 0 or not self._open:
            self._decided.set()
        if not self._open and self._on_last is not None:
            self._on_last()

    async def wait(self) -> None:
        self._close_one()
        await self._decided.wait()


def _nobody() -> None:
    """Whoever uploads looks himself until the commit."""


def intent_row(target: RowKey, data_id: bytes, life: bytes, flags: int = 0) -> Row:
    """The intent of an upload: a system row beside the row-to-be, in the same replicas. `life` is that of the process
    that uploads; its abort record names the same."""
    key = target._replace(name=UPLOAD + data_id)
    return Row(key, ZERO, flags, 0, 0, 0, b"", target.name, life, b"")
