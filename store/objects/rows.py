"""Rows across devices: strict quorums over the replicas of a row, and so one register per key.

The protocol is ABD (Attiya, Bar-Noy, Dolev, 1995) with stamps that the writer keeps above all it has seen: a write
counts when a quorum of the replicas in *every* live layout has it durably; a read asks a quorum of the newest synced
layout, and where two replicas disagree it writes the newer version back before it answers. So reads, writes and deletes
of one key are linearizable, usually in one round trip. Handoffs never count.

A replica that is not in sync (made anew in place of a lost one) takes writes, but that it has no row proves nothing, so
reads do not ask it. Quorums still meet: of any write's quorum at least one in sync replica is in every quorum of in
sync ones.

What a replica did not take is noted as a hint by those that did (`Hints`), and brought to it when it can be.

Writers of one key in this process hold its `lock`, which spares repetitions. What decides between processes is the
`Coordinator`; a process that is *alone* needs it for tables only, since nothing can come between a look under the lock
and the write.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from itertools import chain
from types import MappingProxyType

import structlog
import trio

from store.core.deadline import Patience
from store.core.errors import (
    DamageError,
    DrystoneError,
    NotFoundError,
    QuorumError,
    ReplacedError,
    RetryableError,
    StaleEpochError,
)
from store.core.stamp import ZERO, Stamp, StampSource
from store.device.port import Applied, DevicePort, LoadReply, RowReply, RowWrite
from store.device.record import Buffer, Kind, seal
from store.device.row import (
    Flag,
    IndexRow,
    Row,
    RowKey,
    encode_meta,
    index_key,
    key_shard,
    value_of,
)
from store.objects.coordinator import TRIES, Coordinator
from store.objects.hedge import Hedged, ask_at_once
from store.objects.key_lock import KeyLocks
from store.objects.late_data import Expected, LateData
from store.objects.quorum_check import Questions, SharedChecks
from store.objects.quorum_look import QuorumLook
from store.objects.quorum_read import QuorumRead, ReadRow, believed
from store.objects.quorum_write import WRITE_SECONDS, QuorumWrite, refusal_of
from store.ring import ROWS, Ring, quorum

log = structlog.get_logger()

RING_HASHES_MAX = 100_000
NEWER_RING_SECONDS = 10.0
"""So long whoever knows an old ring waits for the one that devices spoke of: it is in the registry already."""
HANGING_SECONDS = 0.25
"""Devices that hang are looked for once in so long a time, and not by each write."""
READ_TRIES = 16
"""Looks at a row that changes while it is looked at."""


Edit = Callable[[ReadRow | None], Awaitable[Row | None]]
"""Makes the next version of a row from the newest (None where there is none), or nothing. May be called again with
another, so it does nothing else."""


class Rows:
    """The rows of all tables."""

    def __init__(
        self,
        ring: Ring,
        devices: Mapping[int, DevicePort],
        stamps: StampSource,
        *,
        alone: bool = True,
        distances: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        """`distances` says of the devices of other processes, by whole numbers above 0, how far they are: the nearest
        are asked first, so what is asked at once goes to few of them, in few messages. May change."""
        self.ring = ring
        self.alone = alone
        """No other process writes rows."""
        self._distances = distances
        self._followed = trio.Event()
        self.devices = devices
        self.stamps = stamps
        self._ring_hashes: OrderedDict[tuple[bytes, int], int] = OrderedDict()
        self._locks = KeyLocks()
        self.missed_count = 0
        """How often a device did not take a row or data, be it out or full: the others have what it lacks."""
        self.on_missed: Callable[[bytes, Iterable[int], Iterable[int]], None] = _nobody_hints
        """Called with a row's packed key, the replicas that lack its newest version or data, and those that have it."""
        self.on_intent_left: Callable[[RowKey, bytes], None] = _no_janitor
        """Called with (target, data id) of an upload whose commit did not reach all replicas: these may keep its
        intent."""
        self.on_rewritten: Callable[[bytes], None] = _nobody_remembers
        """Called with the packed key of a row that is brought to a replica other than by its writer."""
        self._patience = Patience(WRITE_SECONDS)
        self._hanging: frozenset[int] = frozenset()
        self._hanging_since = -HANGING_SECONDS
        self._coordinator = Coordinator(self)
        self.checks = SharedChecks(self._check_of)
        """Whether versions of rows, read before, are the newest still."""
        self._quorum_writes: dict[QuorumWrite, None] = {}
        """Those that not all replicas have answered."""
        self._late_data = LateData(self._settled)
        self._writing: Counter[int] = Counter()
        self._written = trio.Event()

    # -- keys ----------------------------------------------------------------------------------------------------

    def key(self, table: bytes, shards: int, name: bytes) -> RowKey:
        """Where a name of a table belongs. The hash is keyed: nobody can aim names at one shard."""
        shard = self.ring.ring_hash(table, name) % shards if shards > 1 else 0
        return RowKey(self.ring_hash(table, shard), table, shard, name)

    def ring_hash(self, table: bytes, shard: int) -> int:
        """The ring's place of a shard."""
        known = self._ring_hashes.get((table, shard))
        if known is None:
            known = self._ring_hashes[table, shard] = self.ring.ring_hash(b"rows", table, shard.to_bytes(2))
            if len(self._ring_hashes) > RING_HASHES_MAX:
                self._ring_hashes.popitem(last=False)
        return known

    def lock(self, packed: bytes) -> AbstractAsyncContextManager[None]:
        """Held by the one writer of a key."""
        return self._locks.of(packed)

    # -- versions that are brought to where they are lacking ---------------------------------------------------------

    def bring(self, write: RowWrite, device: DevicePort, reply: RowReply) -> None:
        """Send a version that some replica has to another that lacks it, under the epoch of the ring that was known
        before it was looked for: a device to which it could come back after it was deleted for good refuses it, and
        says StaleEpochError. `reply` is told BarredError where a promise keeps it out. Raises StaleEpochError where
        that is no replica in the ring of now, too, and what the device says that does not take it."""
        packed = write.packed_key

        def answered(applied: Applied | None, error: DrystoneError | None) -> None:
            if applied is not None and applied.barred:
                applied, error = None, refusal_of(applied)
            elif applied is not None:  # who else lacks it is for whoever wrote it, and the replica that it came from
                device.settled(packed, write.row.stamp.pack())
            reply(applied, error)

        if device.id not in self.ring.replicas_all(ROWS, write.row.key.ring_hash):
            raise StaleEpochError(f"device {device.id} is no replica of this row any more")
        device.submit_row(write, answered)

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, key: RowKey, packed: bytes, *, look: bool = False) -> ReadRow | None:
        """The newest version of a row (tombstones too), known to a quorum when this returns. With `look`, where there
        is none, a tombstone that is retired, if any that was asked has its stamp still: what is to be replaced. Raises
        QuorumError, and ReplacedError where it changes all the time."""
        for _ in range(READ_TRIES):
            ring = self.ring
            how = QuorumLook if look else QuorumRead
            asked = how(self.read_set(ring, key.ring_hash), self.devices, packed, ring.epoch)
            if not asked.ask():
                try:
                    await asked.wait()
                except QuorumError as error:
                    await self.go_on_after(error, ring)
                    continue
            found = asked.newest()
            if found is None:
                return None
            self.stamps.observe_packed(found.row.stamp)
            if found.retired:
                return found
            if len(found.replicas) == len(asked.answers):
                if len(ring.live) == 1:
                    return found
                # Of a write that has reached no quorum of some live layout, nothing would be known once that is read.
                sets = ring.write_sets(ROWS, key.ring_hash)
                if _are_quorums(found.replicas, sets):
                    return found
                if await self._is_placed_after_all(sets, packed, found):
                    return found._replace(waited=True)
            with suppress(ReplacedError):
                if await self.write_back(key, packed, found, ring):
                    return found._replace(waited=True)
        raise ReplacedError(f"row {key.name!r} changes faster than it can be read")

    def read_set(self, ring: Ring, ring_hash: int) -> Sequence[int]:
        """The replicas of which a quorum is asked, in this order: those that cost no message first."""
        replicas = ring.read_set(ROWS, ring_hash)
        distances = self._distances
        return replicas if self.alone else sorted(replicas, key=lambda replica: distances.get(replica, 0))

    async def _is_placed_after_all(self, sets: tuple[tuple[int, ...], ...], packed: bytes, found: ReadRow) -> bool:
        """Whether a quorum of every live layout turns out to have this version, where one of the layout that is read
        has it."""
        having = set(found.replicas)
        lacking = [replica for replica in dict.fromkeys(chain(*reversed(sets))) if replica not in having]
        needed = max(quorum(len(replicas)) - len(having.intersection(replicas)) for replicas in sets)

        async def ask(replica: int) -> None:
            if await self.devices[replica].find_stamp(packed) != found.row.stamp:
                raise ReplacedError("it has another version, or none")
            having.add(replica)

        await ask_at_once((replica for replica in lacking if replica in self.devices), needed, ask)
        return _are_quorums(having, sets)

    def _check_of(self, packed: bytes) -> QuorumRead:
        ring = self.ring
        return QuorumRead(self.read_set(ring, key_shard(packed)[0]), self.devices, packed, ring.epoch)

    async def pinned(self, key: RowKey, packed: bytes, found: ReadRow) -> bool:
        """Whether a row that was found is still the newest, where anything else has run since it was found: to be asked
        when its data are pinned. If so, they are there: none are dropped before a quorum has a newer version."""
        if not found.waited:
            return True
        again = await self.read(key, packed)
        return again is not None and again.row.stamp == found.row.stamp

    def payload_at_hand(self, found: ReadRow) -> Buffer | None:
        """The data in a row that was found, verified, where nothing need be waited for; None where `load` is to be
        called."""
        device = self.devices.get(found.replicas[0])
        return None if device is None else device.payload_at_hand(found.row)

    async def load(self, key: RowKey, packed: bytes, found: ReadRow, *, payload: bool = True) -> Row:
        """The whole row, verified, from whichever replica has it intact. A replica that has not is repaired.

        Raises ReplacedError where a newer version came meanwhile, and DamageError.
        """
        load = partial(self._load_from, packed, found, payload)
        asked: Hedged[Row] = Hedged(self._those_that_have_first(key, found), 1, load)
        if not asked.ask():
            await asked.wait()
        for replica, row in asked.answers.items():
            damaged = [other for other, error in asked.failures.items() if isinstance(error, DamageError)]
            if damaged:
                whole = row if payload else await self._load_whole(packed, row, self.devices[replica])
                self._send(prepare(whole, found.epoch, packed), damaged)
            return row
        kinds = {type(error) for error in asked.failures.values()}
        if ReplacedError in kinds:
            raise ReplacedError(f"row {key.name!r} changed while it was read")
        if DamageError not in kinds and kinds - {NotFoundError}:
            raise QuorumError("reading a row", 1, 0, asked.failures)  # who does not answer may have it
        raise DamageError(f"no replica has row {key.name!r} intact: {asked.failures}")

    async def whole(self, key: RowKey, packed: bytes, found: ReadRow) -> Row:
        """The row to be written anew as it is, without a guard. Raises as `load`."""
        if not found.row.live:
            stamp, policy, origin = Stamp.unpack(found.row.stamp), found.row.policy, found.row.origin
            return tombstone(key, policy)._replace(stamp=stamp, origin=origin)
        row = await self.load(key, packed, found)
        return row._replace(flags=row.flags & ~Flag.GUARD)

    def _those_that_have_first(self, key: RowKey, found: ReadRow) -> Iterator[int]:
        """The replicas of a row that are here: first those that are known to have the version that was found."""
        for replica in found.replicas:
            if replica in self.devices:
                yield replica
        for replica in self.ring.replicas_all(ROWS, key.ring_hash):
            if replica not in found.replicas and replica in self.devices:
                yield replica

    def _load_from(self, packed: bytes, found: ReadRow, payload: bool, replica: int, reply: LoadReply) -> None:
        """Load the version that was found. The first replica has it where it was found, others have it elsewhere."""
        device = self.devices[replica]
        if replica == found.replicas[0]:
            device.submit_load(packed, found.row, reply, payload=payload)
        else:
            device.submit_version(packed, found.row.stamp, reply, payload=payload)

    @staticmethod
    async def _load_whole(packed: bytes, row: Row, device: DevicePort) -> Row:
        """A row with its payload, from a device that has just been seen to have it."""
        at_home = await device.find_row(packed)
        if at_home is None or at_home.stamp != row.stamp.pack():
            raise ReplacedError(f"row {row.key.name!r} changed while it was read")
        return await device.load_row(packed, at_home, payload=True)

    async def resolve(self, key: RowKey, packed: bytes) -> tuple[IndexRow | None, list[DevicePort]]:
        """The newest version that any replica in sync has, not just one of a quorum, at all that can take it when this
        returns: a write that a crash left at a single replica has taken effect then. And the devices that answered."""
        for _ in range(READ_TRIES):
            with suppress(ReplacedError):
                return await self._resolve(key, packed)
        raise ReplacedError(f"row {key.name!r} changes faster than it can be decided")

    async def _resolve(self, key: RowKey, packed: bytes) -> tuple[IndexRow | None, list[DevicePort]]:
        ring = self.ring
        replicas = ring.in_sync(ROWS, key.ring_hash)

        async def ask(replica: int) -> IndexRow | None:
            return await self.devices[replica].find_row(packed)

        found, _ = await ask_at_once(believed(replicas, self.devices), len(replicas), ask)
        asked = [self.devices[replica] for replica in found]
        rows = [row for row in found.values() if row is not None]
        if not rows:
            return None, asked
        last = max(rows, key=lambda row: row.stamp)
        having = tuple(replica for replica, row in found.items() if row is not None and row.stamp == last.stamp)
        if len(having) < len(found) and not await self.write_back(key, packed, ReadRow(last, having, ring.epoch), ring):
            raise ReplacedError(f"row {key.name!r} was settled")
        absent = [replica for replica in replicas if replica not in found]
        if absent:
            self.missed(packed, absent, having)
        return last, asked

    async def write_back(self, key: RowKey, packed: bytes, found: ReadRow, ring: Ring) -> bool:
        """Bring a version that not all of a quorum have to a quorum, under the ring that was known when it was looked
        for. False where it had to be settled, under a stamp of its own, or another in its place: then it is to be
        looked for again. Raises ReplacedError where no replica has it any more."""
        row = await self.whole(key, packed, found)
        self.on_rewritten(packed)
        try:
            if await self.place(row, packed, ring, reserve=True) is not None:
                return True
            await self._coordinator.settle(key, packed)
        except StaleEpochError:
            await self.newer_ring(ring)
        finally:
            self.on_rewritten(packed)  # whoever looked while it was on its way saw the version before
        return False

    async def settle(self, key: RowKey, packed: bytes) -> None:
        """Have the newest version that a quorum has be there under a stamp above all promises, where these keep it from
        a replica that lacks it. Raises as `put`."""
        self.on_rewritten(packed)
        try:
            with suppress(ReplacedError):  # another writer was faster: that one is above them
                await self._coordinator.settle(key, packed)
        finally:
            self.on_rewritten(packed)

    # -- writing -------------------------------------------------------------------------------------------------

    async def put(
        self, row: Row, packed: bytes, questions: Questions | None = None, *, reserve: bool = False
    ) -> tuple[Row, Applied]:
        """Write a row whatever is there: the row as it was written, and what became of it. Its stamp is chosen here.
        Raises QuorumError or RetryableError (it may still take effect), and ConflictError where a guard refused it.

        Where this process is alone, the caller holds the lock of the key, and `row.stamp` is not below what it has
        seen. Then nothing is looked for first; but only what is taken counts, since what is newer came before. Where it
        is not alone, `questions` are awaited with the look, before anything is written.
        """
        if self.alone:
            row = row._replace(stamp=self.stamps.next(row.stamp))
            applied = await self.place(row, packed, self.ring, reserve=reserve)
            if applied is not None and applied.stamp == row.stamp.pack():
                return row, applied
            # Our clock is behind the version that is there: step over it.
        return await self._coordinator.put(row, packed, questions, reserve=reserve)

    async def put_new(self, row: Row, packed: bytes) -> Row:
        """Write a row under a key that nobody else knows yet; the row as it was written. Raises as `put`."""
        row = row._replace(stamp=self.stamps.next())
        while True:
            ring = self.ring
            try:
                if await self.place(row, packed, ring) is None:
                    raise RetryableError("it may have been written, or not: others are in the way")
            except StaleEpochError:
                await self.newer_ring(ring)
            else:
                return row

    async def change(
        self, key: RowKey, packed: bytes, edit: Edit, *, keep_shown: bool = False, reserve: bool = False
    ) -> tuple[Row, Applied] | None:
        """Write what `edit` makes of the newest version in the place of just that one: the row as it was written, and
        what became of it; None where it makes nothing of it. Where another version comes between, `edit` is called
        again; what it raises ends this, and nothing is written. With `keep_shown` clients see no change. The caller
        holds the lock of the key. Raises as `put`, too."""
        for attempt in range(TRIES):
            found = await self.read(key, packed, look=True)
            shown = found.row.shown if found is not None and keep_shown else b""
            with suppress(ReplacedError):
                row = await edit(found)
                if row is None:
                    return None
                return await self._coordinator.replace(row, packed, found, shown=shown, reserve=reserve)
            await self._coordinator.pause(attempt)
        raise RetryableError(f"row {key.name!r} changes faster than it can be changed")

    async def change_by_lock(
        self, key: RowKey, packed: bytes, edit: Edit, *, reserve: bool = False
    ) -> tuple[Row, Applied] | None:
        """The same, and takes the lock. Where this process is alone, that decides, and no promise is asked for: all
        that can come between is a write of unknown outcome."""
        async with self.lock(packed):
            if not self.alone:
                return await self.change(key, packed, edit, reserve=reserve)
            found = await self.read(key, packed)
            row = await edit(found)
            if row is None:
                return None
            seen = ZERO if found is None else Stamp.unpack(found.row.stamp)
            return await self.put(row._replace(stamp=seen), packed, reserve=reserve)

    async def place(self, row: Row, packed: bytes, ring: Ring, *, reserve: bool = False) -> Applied | None:
        """Write one version to a quorum of its replicas in every live layout, if so many have room. Where that is not
        so, it is written to none, or, if it may use the `reserve`, goes there.

        Returns what became of it, None where promises or other versions keep it from being placed. Raises QuorumError
        (the write may still take effect), StaleEpochError where devices refuse the ring and none has taken it, and
        ConflictError where a guard refused it.
        """
        write = prepare(row, ring.epoch, packed)
        quorum_write = QuorumWrite(ring.write_sets(ROWS, row.key.ring_hash), write, self._patience, self._ended)
        self._writing[ring.epoch] += 1
        self._quorum_writes[quorum_write] = None
        try:
            return await quorum_write.write(self.devices, self._hanging_now(), new=not reserve)
        finally:
            if not quorum_write.begun:
                del self._quorum_writes[quorum_write]
            self._writing[ring.epoch] -= 1
            if not self._writing[ring.epoch]:
                self._written.set()
                self._written = trio.Event()

    def _hanging_now(self) -> frozenset[int]:
        """The devices that have not answered for so long that no write waits for them; looked at now and then."""
        now = trio.current_time()
        if now >= self._hanging_since + HANGING_SECONDS:
            self._hanging_since = now
            self._hanging = frozenset(n for n, device in self.devices.items() if device.slow >= WRITE_SECONDS)
        return self._hanging

    def _ended(self, quorum_write: QuorumWrite) -> None:
        """All replicas have answered."""
        self._quorum_writes.pop(quorum_write, None)
        packed, having, lacking = quorum_write.packed, quorum_write.having(), quorum_write.lacking()
        if lacking:
            self.missed(packed, lacking, having)
        if quorum_write.row.flags & Flag.GUARD and not quorum_write.is_everywhere:
            self.on_intent_left(quorum_write.row.key, quorum_write.row.data_id)
        self._late_data.settle(packed, quorum_write.stamp, having)

    def _settled(self, packed: bytes, stamp: bytes, having: Collection[int]) -> None:
        """Nothing that replicas lack of a version, or of its data, is unknown to all but this process."""
        for replica in having:
            if replica in self.devices:
                self.devices[replica].settled(packed, stamp)

    def missed(self, packed: bytes, lacking: Iterable[int], having: Iterable[int]) -> None:
        """Some replicas did not take what they should have of a row, or of its data."""
        self.missed_count += 1
        self.on_missed(packed, lacking, having)

    def note_late(self) -> None:
        """Leave hints for replicas that have failed, or not answered, a write which others have, and for devices that
        have not yet said that they have the data of a committed row. To be called before any index is written: a row
        must not be in one, and so be in doubt no more, without a hint of who may lack it; the process, or a slow
        device, may end."""
        noted = []
        for quorum_write in self._quorum_writes:
            late = quorum_write.late()
            if late:
                self.on_missed(quorum_write.packed, late, quorum_write.having())
                noted.append(quorum_write)
        for quorum_write in noted:  # once is enough: what it comes to is known when it ends
            del self._quorum_writes[quorum_write]
        for expected in list(self._late_data):
            if expected.lacking:
                self.on_missed(expected.packed, expected.lacking, self.ring.replicas_all(ROWS, expected.ring_hash))
            self._late_data.known(expected)

    def expect_data(self, packed: bytes, ring_hash: int, lacking: Collection[int]) -> Callable[[], None]:
        """Some devices have yet to say that they have the data of a row that is about to be committed; each that does,
        or for which a hint is noted, goes from `lacking`. The row is not settled before none is left: what is returned
        is to be called then."""
        expected = Expected(packed, ring_hash, lacking)
        self._late_data.expect(expected)
        return partial(self._late_data.known, expected)

    def prepare(self, row: Row, packed: bytes | None = None) -> RowWrite:
        """A row for replicas of the present ring."""
        return prepare(row, self.ring.epoch, packed)

    async def go_on_after(self, error: QuorumError, ring: Ring) -> None:
        """Wait for the newer ring that some device spoke of when one was asked by this ring. Raises the error where
        none did."""
        refused = any(isinstance(each, StaleEpochError) for each in error.answers.values())
        if ring.epoch == self.ring.epoch and not refused:
            raise error
        await self.newer_ring(ring)

    async def newer_ring(self, ring: Ring) -> None:
        """Wait for a ring that is newer than this one. Raises StaleEpochError where none comes."""
        with trio.move_on_after(NEWER_RING_SECONDS):
            while self.ring.epoch <= ring.epoch:
                await self._followed.wait()
            return
        raise StaleEpochError(f"devices refuse the ring of epoch {ring.epoch}, and no newer one is known here")

    async def wait_for_newer(self, ring: Ring) -> Ring:
        """Wait, for as long as it takes, until another ring than this is used: that one."""
        while self.ring.epoch <= ring.epoch:
            await self._followed.wait()
        return self.ring

    async def follow(self, ring: Ring) -> None:
        """Use this ring from now on, unless a newer one is used. Returns when no write is in flight that knows only an
        older one."""
        if self.ring.is_behind(ring):  # several may take steps at once
            self.ring = ring
        self._followed.set()
        self._followed = trio.Event()
        while any(count for epoch, count in self._writing.items() if epoch < ring.epoch):
            await self._written.wait()
        self._writing = Counter({epoch: count for epoch, count in self._writing.items() if count})

    def _send(self, write: RowWrite, replicas: Iterable[int]) -> None:
        """Write to replicas without waiting for their answers: repair. What fails now is found again later."""
        for replica in replicas:
            try:
                self.bring(write, self.devices[replica], _ignore)
            except DrystoneError as error:
                log.warning("repair not written", device=replica, error=str(error))


def prepare(row: Row, epoch: int, packed: bytes | None = None) -> RowWrite:
    """A row encoded once for all of its replicas, which were chosen by a ring of this epoch."""
    sealed = seal(Kind.ROW, encode_meta(row), row.payload)
    return RowWrite(row, packed or index_key(row.key), value_of(row), sealed, epoch)


def tombstone(key: RowKey, policy: int) -> Row:
    """That there is no such row any more."""
    return Row(key, ZERO, Flag.TOMBSTONE, policy, 0, 0, b"", b"", b"", b"")


def _are_quorums(having: Collection[int], sets: tuple[tuple[int, ...], ...]) -> bool:
    """Whether these are a quorum of each set of replicas."""
    return all(sum(replica in having for replica in replicas) >= quorum(len(replicas)) for replicas in sets)


def _nobody_hints(_packed: bytes, _lacking: Iterable[int], _having: Iterable[int]) -> None:
    """No daemon listens."""


def _no_janitor(_target: RowKey, _data_id: bytes) -> None:
    """No daemon listens: the intent is found at the next start."""


def _nobody_remembers(_packed: bytes) -> None:
    """Nothing is cached."""


def _ignore(_applied: Applied | None, _error: DrystoneError | None) -> None:
    """A repair's answer: nobody waits for it."""
