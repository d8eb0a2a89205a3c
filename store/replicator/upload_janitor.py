"""The janitor: ends uploads that nobody will end, so that their space comes back.

An upload leaves an intent in the replicas of its row-to-be before its first block. If a process dies, or a commit's
outcome is unknown, the intent remains. Then every replica is asked: if any has the row, the upload was committed, and
is brought to all; if not, an **abort record** goes to every one, each of which refuses the commit from then on, and
refuses the intent if the commit has come first. Only when all have the abort record are the data dropped. All, not a
quorum: then none can hold a committed row of dropped data, and nothing ever has to be taken back (docs/adr/0002). No
grace period decides.

An intent names the life of the process that uploads. A janitor ends those of its own life that were given up, on
whatever device they are, and on the devices of its process those of lives that are over; several may end the same one
at once. A process that is taken to be dead may live, and commit: its abort records stay until nothing of that life can
arrive any more, or until it comes across them itself. So whose life is over only spares the living; abort records keep
things safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple, Protocol

import structlog
import trio

from store.core.deadline import within
from store.core.errors import BusyError, ConflictError, DamageError, DrystoneError, ReplacedError, RetryableError
from store.core.stamp import ZERO, Stamp
from store.core.wait_group import WaitGroup
from store.device.port import DURABLE_SECONDS, Applied, DevicePort, RowWrite
from store.device.row import UPLOAD, Flag, IndexRow, RowKey, index_key, parse_key
from store.objects.hedge import ask_at_once
from store.objects.pins import Need
from store.objects.quorum_read import ReadRow
from store.objects.quorum_write import refusal_of
from store.objects.store import DeviceStore
from store.objects.upload import intent_row
from store.replicator.daemon import Daemon, Outcome, Retries, Schedule
from store.replicator.drop import Drop
from store.replicator.progress import ProgressTable
from store.replicator.step import CollectStep
from store.ring import ROWS

log = structlog.get_logger()

RETRY_SECONDS, RETRY_SECONDS_MAX = 10.0, 300.0
PAGE = 10_000
AT_ONCE = 64
STAMP_RETRIES = 8
LOOK_SECONDS = 600.0
"""So often it is looked for what was left: by a device that did not answer, by a process that was taken to be dead, or
by those that took this one to be dead. All else is found at once."""


class Lives(Protocol):
    """What is known of the runs of this cluster's processes, each of which is a life with an id of its own."""

    def is_over(self, life: bytes) -> bool:
        """Whether its process is no member any more: others may end what it has begun."""
        ...

    def is_silent(self, life: bytes) -> bool:
        """Whether it is over, and nothing that it asks of any device can take effect any more: all refuse the rings
        that it can know."""
        ...


class OnlyOne:
    """The lives of a process that is alone with its devices: all before it are over, and long silent."""

    def __init__(self, own: bytes) -> None:
        self._own = own

    def is_over(self, life: bytes) -> bool:
        return life != self._own

    def is_silent(self, life: bytes) -> bool:
        return life != self._own


class _Upload(NamedTuple):
    """One that is to be ended. `life` is empty where an older program began it, which was alone."""

    target: RowKey
    life: bytes


class UploadJanitor:
    """Ends uploads of this process that ended without an outcome, and on its devices those of processes that are no
    more."""

    def __init__(self, store: DeviceStore, lives: Lives, progress: ProgressTable, step: CollectStep) -> None:
        self._store = store
        self._lives = lives
        self._step = step
        self._daemon = Daemon(progress.loop("clean up uploads"), Schedule(), self._round)
        self._uploads: dict[bytes, _Upload] = {}
        self._open = Retries[bytes](RETRY_SECONDS, RETRY_SECONDS_MAX)
        self._decided: set[bytes] = set()
        """Of those that are open: what has only its intents, or abort records, left."""
        self._look_at = trio.current_time() + LOOK_SECONDS
        store.on_unresolved = store.rows.on_intent_left = self.add

    def add(self, target: RowKey, data_id: bytes) -> None:
        """This upload of this process will not be committed any more by anyone who knows its outcome."""
        self._add(data_id, _Upload(target, self._store.life))

    def _add(self, data_id: bytes, upload: _Upload) -> None:
        self._uploads[data_id] = upload
        if self._open.add(data_id):
            self._store.pins.add(data_id, Need.END)
        self._daemon.wake()

    async def find_all_left_behind(self) -> None:
        """Add what is left on any device of this process: to be called before this process begins its first upload, and
        whenever a life is over."""
        await self.find_left_behind(self._store.own.values())

    async def find_left_behind(self, devices: Iterable[DevicePort]) -> None:
        """Add what is left on these: to be called for a device that is back. It may have lost that it was to forget an
        intent; and of what this life has left nobody else can tell that it is over with."""
        for device in list(devices):
            own = self._store.own.get(device.id) is device
            after = b""
            try:
                while page := await device.uploads(after, PAGE):
                    for data_id, packed in page:
                        row = await _intent(device, packed)
                        if row is not None and self._is_left(data_id, row.detail or b"", own=own):
                            self._add(data_id, _Upload(parse_key(packed, row.summary), row.detail or b""))
                    after = page[-1][0]
                    await trio.lowlevel.checkpoint()
            except DrystoneError as error:
                self._daemon.trouble(error)  # its other replicas have the intents too

    def _is_left(self, data_id: bytes, life: bytes, *, own: bool) -> bool:
        """Whether an upload is ours to end of which there is an intent, on a device of our own or of others."""
        if life == self._store.life:
            return not self._store.pins.held([data_id])  # else it is under way
        return own and (not life or self._lives.is_over(life))

    def targets(self) -> list[RowKey]:
        """What the uploads that nobody has ended were to become."""
        return [self._uploads[data_id].target for data_id in self._open]

    async def run(self) -> None:
        """End what is added, until cancelled."""
        await self._daemon.run()

    async def clean_all(self) -> None:
        """Try to end each open upload once."""
        self._open.all_due()
        await self._daemon.round()

    async def _round(self) -> Outcome:
        """Many at once: each waits for syncs and for an index to be written."""
        done = 0
        began = trio.current_time()
        if began >= self._look_at:
            self._look_at = began + LOOK_SECONDS
            await self.find_left_behind(self._store.devices.values())

        async def work() -> None:
            nonlocal done
            while (data_id := self._open.take(began)) is not None:
                try:
                    cleaned = await self._clean(self._uploads[data_id], data_id)
                except DrystoneError as error:
                    self._daemon.trouble(error)
                    cleaned = False
                if cleaned:
                    self._end(data_id)
                    done += 1
                else:
                    self._open.failed(data_id, began)

        async with trio.open_nursery() as nursery:
            for _ in range(min(AT_ONCE, len(self._open))):
                nursery.start_soon(work)
        if self._decided and self._step.due:
            try:
                await self._step.take(())  # lives that are over are silent behind it
            except DrystoneError as error:
                self._daemon.trouble(error)
        now = trio.current_time()
        return Outcome(done, len(self._open), min(self._open.due_in(now), max(0.0, self._look_at - now)))

    def _end(self, data_id: bytes) -> None:
        self._open.done(data_id)
        if data_id not in self._open:
            del self._uploads[data_id]
            self._decided.discard(data_id)
            self._store.pins.remove(data_id, Need.END)

    async def _clean(self, upload: _Upload, data_id: bytes) -> bool:
        others = upload.life not in (b"", self._store.life)
        if others and not self._lives.is_over(upload.life):
            return True  # it was taken to be: its own janitor sees to it
        if data_id not in self._decided:
            if not await self._decide(upload, data_id):
                return False
            self._decided.add(data_id)
        if others and not self._lives.is_silent(upload.life):
            return False
        return await self._forget_intents(upload.target, data_id)

    async def _decide(self, upload: _Upload, data_id: bytes) -> bool:
        """Have every replica know whether it was committed, and drop its data if not; False where that cannot be
        now."""
        target = upload.target
        replicas = self._store.rows.ring.replicas_all(ROWS, target.ring_hash)
        devices = [self._store.devices[replica] for replica in replicas if replica in self._store.devices]
        if len(devices) < len(replicas):
            return False
        packed = index_key(target)
        async with self._store.rows.lock(packed):
            if await self._committed(target, packed, data_id, devices):
                return True
            await self._abort(upload, data_id, devices)
        if not await self._store.pins.unpinned([data_id]):
            return False  # it was committed, overwritten, and is still being read
        # On all devices of the ring: one that is away would come back with blocks whose intent is forgotten.
        return await Drop(self._store, data_id, self._store.rows.ring.devices).wait()

    async def _committed(self, target: RowKey, packed: bytes, data_id: bytes, devices: list[DevicePort]) -> bool:
        """Whether any replica has the upload's row; if so, a quorum has it when this returns."""
        ring = self._store.rows.ring

        async def ask(replica: int) -> IndexRow | None:
            return await self._store.devices[replica].find_row(packed)

        answers, failures = await ask_at_once([device.id for device in devices], len(devices), ask)
        for replica, row in answers.items():
            if row is not None and row.data_id == data_id:
                if not await self._store.rows.write_back(target, packed, ReadRow(row, (replica,), ring.epoch), ring):
                    raise ReplacedError("the row of an upload was settled: it is to be looked at again")
                return True
        for error in failures.values():
            raise error
        return False

    async def _abort(self, upload: _Upload, data_id: bytes, devices: list[DevicePort]) -> None:
        """Have the abort record in force on every one of these devices. Raises where that cannot be said."""
        seen = ZERO
        for _ in range(STAMP_RETRIES):
            intent = intent_row(upload.target, data_id, upload.life, Flag.ABORT)
            intent = intent._replace(stamp=self._store.rows.stamps.next(seen))
            answers = _Answers()
            write = self._store.rows.prepare(intent)
            for device in devices:
                answers.ask(device, write)
            highest = await answers.highest()
            if highest == intent.stamp:
                return
            # An intent of a clock that is ahead of ours is still in force somewhere: step over it.
            seen = highest
        raise ConflictError("the intent of an upload changes faster than it can be written")

    async def _forget_intents(self, target: RowKey, data_id: bytes) -> bool:
        """On all devices: the intent may have been written to the replicas of a layout that has retired since. False
        where that is to be asked for again: what is said to a device of another process may be lost with the link, and
        what is left there is nobody else's to find while this process lives."""
        packed = index_key(target._replace(name=UPLOAD + data_id))
        sure = True
        for number, device in list(self._store.devices.items()):
            try:
                row = await device.find_row(packed)
                if row is not None:
                    device.forget_row(packed, row.stamp)
                    sure = await device.find_row(packed) is None and sure
            except BusyError:
                raise
            except DamageError:
                continue  # that is left to the scrubber
            except DrystoneError:  # one of its own is looked at when it is back
                own = self._store.own.get(number) is device
                sure = sure and (own or number not in self._store.rows.ring.devices)
        return sure


async def _intent(device: DevicePort, packed: bytes) -> IndexRow | None:
    """The intent that a device has; None also where it cannot be read: the other replicas have it too. Raises BusyError
    where the disk does not answer now."""
    try:
        return await device.find_row(packed)
    except BusyError:
        raise
    except DrystoneError:
        return None


class _Answers:
    """What every one of some devices says of a row that is written to it."""

    def __init__(self) -> None:
        self._waiting = WaitGroup()
        self._highest = ZERO
        self._refused = ""

    def ask(self, device: DevicePort, write: RowWrite) -> None:
        device.submit_row(write, partial(self._reply, device, write))
        self._waiting.add()

    def _reply(self, device: DevicePort, write: RowWrite, applied: Applied | None, error: DrystoneError | None) -> None:
        if applied is not None and applied.barred:
            error = refusal_of(applied)
        elif applied is not None:
            device.settled(write.packed_key, write.row.stamp.pack())  # whoever finds the intent left asks all again
            self._refused = self._refused or applied.refused
            self._highest = max(self._highest, Stamp.unpack(applied.stamp) if applied.stamp else ZERO)
        self._waiting.done(error)

    async def highest(self) -> Stamp:
        """The newest version that is in place anywhere. Raises what any device said that did not take it."""
        with within(DURABLE_SECONDS):
            await self._waiting.wait()
        if self._refused:
            raise RetryableError(f"the upload is {self._refused} after all")
        return self._highest
