"""Rows across devices: strict quorums over the homes of a row, and so one register per key.

The protocol is ABD (Attiya, Bar-Noy, Dolev, 1995) with stamps that the writer keeps above all it has seen: a write
counts when a quorum of the homes in *every* live layout has it durably; a read asks a quorum of the newest synced
layout, and where two homes disagree it writes the newer version back before it answers. So reads, writes and deletes of
one key are linearizable, usually in one round trip. Handoffs never count.

A home that is not trusted (made anew in place of a lost one) takes writes, but its silence proves nothing, so reads do
not ask it. Quorums still meet: of any write's quorum at least one trusted home is in every quorum of trusted ones.

What a home did not take is noted as a hint by those that did (`Hints`), and brought to it when it can be.

Within this process writers of one key take turns (`turn`). Across processes a read-modify-write will need a ballot in
the row's homes; until then the store runs as one process.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import NamedTuple

import structlog
import trio

from store.core.errors import ConflictError, DamageError, DrystoneError, QuorumError, ReplacedError, StaleEpochError
from store.core.stamp import Stamp, StampSource
from store.engine.device import Device, RowReply, RowWrite
from store.engine.record import Kind, seal
from store.engine.row import (
    STAMP_BYTES,
    Flag,
    IndexRow,
    Row,
    RowKey,
    decode_value,
    encode_meta,
    index_key,
    is_tombstone,
    key_shard,
    row_name,
    value_of,
)
from store.engine.view import Applied
from store.objects.ballot import Ballot
from store.objects.turns import Turns
from store.ring import ROWS, Ring, quorum

log = structlog.get_logger()

PLACES_MAX = 100_000
STAMP_RETRIES = 8
READ_TRIES = 16
"""Looks at a row that changes while it is looked at."""


class ReadRow(NamedTuple):
    """The newest version of a row, and the homes that are known to have it."""

    row: IndexRow
    homes: tuple[int, ...]


class Rows:
    """The rows of all tables."""

    def __init__(self, ring: Ring, devices: Mapping[int, Device], stamps: StampSource) -> None:
        self.ring = ring
        self.devices = devices
        self.stamps = stamps
        self._places: OrderedDict[tuple[bytes, int], int] = OrderedDict()
        self._turns = Turns()
        self.misses = 0
        """How often a device did not take a row or data, be it out or full: the others have what it lacks."""
        self.on_missed: Callable[[bytes, Iterable[int], Iterable[int]], None] = _nobody_hints
        """Called with a row's packed key, the homes that lack its newest version or data, and those that have it."""
        self.on_mark_left: Callable[[RowKey, bytes], None] = _nobody_settles
        """Called with (target, data id) of an upload whose commit did not reach all homes: these may keep its mark."""
        self.on_rewritten: Callable[[bytes], None] = _nobody_remembers
        """Called with the packed key of a row that is brought to a home other than by its writer."""
        self._brought: Counter[bytes] = Counter()
        self._ballots: dict[Ballot, None] = {}
        """Those that not all homes have answered."""
        self._data_late: list[tuple[bytes, int, Collection[int]]] = []
        self._writing: Counter[int] = Counter()
        self._written = trio.Event()

    # -- keys ----------------------------------------------------------------------------------------------------

    def key(self, table: bytes, shards: int, name: bytes) -> RowKey:
        """Where a name of a table belongs. The hash is keyed: nobody can aim names at one shard."""
        shard = self.ring.place(table, name) % shards if shards > 1 else 0
        return RowKey(self.place(table, shard), table, shard, name)

    def place(self, table: bytes, shard: int) -> int:
        """The ring's place of a shard."""
        known = self._places.get((table, shard))
        if known is None:
            known = self._places[table, shard] = self.ring.place(b"rows", table, shard.to_bytes(2))
            if len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)
        return known

    def turn(self, packed: bytes) -> AbstractAsyncContextManager[None]:
        """Writers of one key take turns."""
        return self._turns.of(packed)

    # -- versions that are brought to where they are lacking ---------------------------------------------------------

    def stands(self, packed: bytes, stamp: bytes) -> bool:
        """Whether a home has just this version now: to be asked in the moment before it is brought to others. Between
        the look that found it and now it may have been deleted for good, and then nothing would keep it from coming
        back; but no tombstone is collected while a home has something older."""
        for home in self.ring.homes_all(ROWS, key_shard(packed)[0]):
            with suppress(KeyError, DrystoneError):
                if self.devices[home].present_stamp(packed) == stamp:
                    return True
        return False

    def bring(self, write: RowWrite, device: Device, reply: RowReply) -> None:
        """Send a version that some home has to another that lacks it. Raises StaleEpochError where that is no home in
        the ring of now, ReplacedError where no home has that version now, and what the device says that does not take
        it."""
        packed = write.packed_key
        if device.id not in self.ring.homes_all(ROWS, write.row.key.place):
            raise StaleEpochError(f"device {device.id} is no home of this row any more")
        if not self.stands(packed, write.row.stamp.pack()):
            raise ReplacedError("the version that was to be brought to others is not there any more")

        def answered(applied: Applied | None, error: DrystoneError | None) -> None:
            self._let_go(packed)
            reply(applied, error)

        device.admit_row(write.row)
        device.submit_row(write, answered)
        self._hold(packed)

    def is_held(self, packed: bytes) -> bool:
        """Whether a version of this row is on its way to a home that lacked it: until it has arrived, no tombstone of
        the row is collected."""
        return packed in self._brought

    def _hold(self, packed: bytes) -> None:
        self._brought[packed] += 1

    def _let_go(self, packed: bytes) -> None:
        self._brought[packed] -= 1
        if not self._brought[packed]:
            del self._brought[packed]

    # -- reading -------------------------------------------------------------------------------------------------

    async def read(self, key: RowKey, packed: bytes) -> ReadRow | None:
        """The newest version of a row (tombstones too), known to a quorum when this returns."""
        ring = self.ring
        homes = ring.read_set(ROWS, key.place)
        needed = quorum(len(homes))
        row: IndexRow | None = None
        stamp: bytes | None = None
        having: tuple[int, ...] = ()
        waited = False
        try:
            for home in homes:
                device = self.devices[home]
                if not device.trusted:
                    continue
                waited = waited or device.cold
                if not having:
                    row = await device.find_row(packed)
                    stamp = row.stamp if row is not None else None
                elif await device.find_stamp(packed) != stamp:
                    break
                having += (home,)
                if len(having) == needed:
                    # As nearly always: the first homes agree.
                    if row is None or stamp is None:
                        return None
                    if waited and not self._agree_now(ring, having, packed, stamp):
                        break
                    self.stamps.observe(Stamp.unpack(stamp))
                    return ReadRow(row, having)
        except (KeyError, DrystoneError) as error:
            log.debug("a home did not answer", error=repr(error))
        return await self._read_all(key, packed)

    async def _read_all(self, key: RowKey, packed: bytes) -> ReadRow | None:
        """The same where homes disagree, fail, or change while they are asked: ask as many as it takes, and bring the
        newest version to a quorum. Raises QuorumError, and ReplacedError where it changes all the time."""
        for _ in range(READ_TRIES):
            ring = self.ring
            answers = await self._ask(ring.read_set(ROWS, key.place), packed)
            newest = max((row for row in answers.values() if row is not None), key=_stamp_of, default=None)
            if newest is None:
                return None
            self.stamps.observe(Stamp.unpack(newest.stamp))
            having = tuple(home for home, row in answers.items() if row is not None and row.stamp == newest.stamp)
            found = ReadRow(newest, having)
            if len(having) == len(answers):
                if self._agree_now(ring, having, packed, newest.stamp):
                    return found
                continue
            try:
                await self._write_back(key, packed, found)
            except ReplacedError:
                continue
            if not await self._overtaken(ring, packed, key, newest.stamp):
                return found
        raise ReplacedError(f"row {key.name!r} changes faster than it can be read")

    async def _ask(self, homes: tuple[int, ...], packed: bytes) -> dict[int, IndexRow | None]:
        """What a quorum of the homes has, and more where these disagree. Raises QuorumError."""
        needed = quorum(len(homes))
        answers: dict[int, IndexRow | None] = {}
        failures: dict[int, BaseException] = {}
        for home in homes:
            if len(answers) >= needed and len({row and row.stamp for row in answers.values()}) == 1:
                break
            device = self.devices.get(home)
            if device is None or not device.trusted:
                continue
            waits = device.cold
            try:
                answers[home] = await device.find_row(packed)
            except DrystoneError as error:
                failures[home] = error
                continue
            if waits:  # others may have changed meanwhile: what is compared is of one moment
                for other in [other for other in answers if other != home]:
                    try:
                        answers[other] = self.devices[other].present_row(packed)
                    except (KeyError, DrystoneError) as error:
                        failures[other] = error
                        del answers[other]
        if len(answers) < needed:
            raise QuorumError("reading a row", needed, len(answers), failures)
        return answers

    async def _overtaken(self, ring: Ring, packed: bytes, key: RowKey, stamp: bytes) -> bool:
        """Whether a home has a newer version. Data of an older one may be dropped at any time: whoever is given a row
        pins its data before anything else runs, so what was read before a wait is looked at again."""
        asked = []
        for home in ring.read_set(ROWS, key.place):
            device = self.devices.get(home)
            if device is None or not device.trusted:
                continue
            with suppress(DrystoneError):
                await device.find_stamp(packed)
                asked.append(home)
        if ring is not self.ring:
            return True
        for home in asked:
            with suppress(KeyError, DrystoneError):
                now = self.devices[home].present_stamp(packed)
                if now is not None and now > stamp:
                    return True
        return False

    def _agree_now(self, ring: Ring, asked: Iterable[int], packed: bytes, stamp: bytes) -> bool:
        """Whether homes that were asked, one after the other, all have this version at this moment. Asking one that is
        cold takes a while, in which others may change, or the ring may."""
        if ring is not self.ring:
            return False
        try:
            return all(self.devices[home].present_stamp(packed) == stamp for home in asked)
        except (KeyError, DrystoneError):
            return False

    async def load(self, key: RowKey, packed: bytes, found: ReadRow, *, payload: bool = True) -> Row:
        """The whole row, verified, from whichever home has it intact. A home that has not is repaired.

        Raises ReplacedError where a newer version came meanwhile, and DamageError.
        """
        replaced = False
        damaged: list[int] = []
        failures: dict[int, BaseException] = {}
        others = [home for home in self.ring.homes_all(ROWS, key.place) if home not in found.homes]
        for home in (*found.homes, *others):
            device = self.devices.get(home)
            if device is None:
                continue
            try:
                at_home = found.row if home == found.homes[0] else await device.find_row(packed)
                if at_home is None or at_home.stamp != found.row.stamp:
                    replaced = replaced or (at_home is not None and at_home.stamp > found.row.stamp)
                    continue
                row = await device.load_row(packed, at_home, payload=payload)
            except DamageError as error:
                damaged.append(home)
                failures[home] = error
                continue
            except DrystoneError as error:
                replaced = replaced or isinstance(error, ReplacedError)
                failures[home] = error
                continue
            if damaged:
                whole = row if payload else await device.load_row(packed, at_home, payload=True)
                self._send(self.prepare(whole), damaged)
            return row
        if replaced:
            raise ReplacedError(f"row {key.name!r} changed while it was read")
        raise DamageError(f"no home has row {key.name!r} intact: {failures}")

    async def decide(self, key: RowKey, packed: bytes) -> tuple[IndexRow | None, list[Device]]:
        """The newest version that any replica in sync has, not just one of a quorum, at all that can take it when this
        returns: a write that a crash left at a single home has taken effect then. And the devices that answered."""
        for _ in range(READ_TRIES):
            with suppress(ReplacedError):
                return await self._decide(key, packed)
        raise ReplacedError(f"row {key.name!r} changes faster than it can be decided")

    async def _decide(self, key: RowKey, packed: bytes) -> tuple[IndexRow | None, list[Device]]:
        homes = self.ring.in_sync(ROWS, key.place)
        found: dict[int, IndexRow | None] = {}
        asked = []
        for home in homes:
            device = self.devices.get(home)
            if device is not None and device.trusted:
                with suppress(DrystoneError):
                    found[home] = await device.find_row(packed)
                    asked.append(device)
        rows = [row for row in found.values() if row is not None]
        if not rows:
            return None, asked
        newest = max(rows, key=lambda row: row.stamp)
        having = tuple(home for home, row in found.items() if row is not None and row.stamp == newest.stamp)
        if len(having) < len(found):
            await self._write_back(key, packed, ReadRow(newest, having))
        absent = [home for home in homes if home not in found]
        if absent:
            self.missed(packed, absent, having)
        return newest, asked

    async def _write_back(self, key: RowKey, packed: bytes, found: ReadRow) -> None:
        """Bring a version that not all of a quorum have to a quorum."""
        row = await self.load(key, packed, found)
        self.on_rewritten(packed)
        try:
            await self.write(row._replace(flags=row.flags & ~Flag.GUARD), packed, new=False)
        finally:
            self.on_rewritten(packed)  # whoever looked while it was on its way saw the version before

    # -- writing -------------------------------------------------------------------------------------------------

    async def write(self, row: Row, packed: bytes, *, new: bool = True) -> Applied:
        """Write one version to a quorum of its homes in every live layout, if so many have room. Where that is not so,
        one that is `new` is written to none, and one that some home has already goes into the reserve of the others.

        Returns what became of it: a `stamp` above the row's own says that a newer version had been there. Raises
        QuorumError (the write may still take effect), ConflictError where a guard refused it, and ReplacedError where
        it is not new and no home has it any more.
        """
        ring = self.ring
        write = prepare(row, ring.epoch, packed)
        ballot = Ballot(ring.write_sets(ROWS, row.key.place), write, self._ended if new else self._arrived)
        self._writing[ring.epoch] += 1
        self._ballots[ballot] = None
        if not new:
            self._hold(packed)
        try:
            return await ballot.write(self.devices, None if new else partial(self.stands, packed, row.stamp.pack()))
        finally:
            if not ballot.begun:
                del self._ballots[ballot]
                if not new:
                    self._let_go(packed)
            self._writing[ring.epoch] -= 1
            if not self._writing[ring.epoch]:
                self._written.set()
                self._written = trio.Event()

    def _arrived(self, ballot: Ballot) -> None:
        """All homes have answered that a version was brought to."""
        self._let_go(ballot.packed)
        self._ended(ballot)

    def _ended(self, ballot: Ballot) -> None:
        """All homes have answered."""
        self._ballots.pop(ballot, None)
        lacking = ballot.lacking()
        if lacking:
            self.missed(ballot.packed, lacking, ballot.having())
            if ballot.row.flags & Flag.GUARD:
                self.on_mark_left(ballot.row.key, ballot.row.data_id)

    def missed(self, packed: bytes, lacking: Iterable[int], having: Iterable[int]) -> None:
        """Some homes did not take what they should have of a row, or of its data."""
        self.misses += 1
        self.on_missed(packed, lacking, having)

    def note_late(self) -> None:
        """Leave hints for homes that have failed, or not answered, a write which others have, and for devices that have
        not yet said that they have the data of a committed row. To be called before any index is written: a row must
        not be in one, and so be in doubt no more, without a hint of who may lack it; the process, or a slow device, may
        end."""
        noted = []
        for ballot in self._ballots:
            late = ballot.late()
            if late:
                self.on_missed(ballot.packed, late, ballot.having())
                noted.append(ballot)
        for ballot in noted:  # once is enough: what it comes to is known when it ends
            del self._ballots[ballot]
        data_late, self._data_late = self._data_late, []
        for packed, place, devices in data_late:
            if devices:
                self.on_missed(packed, devices, self.ring.homes_all(ROWS, place))

    def expect_data(self, packed: bytes, place: int, devices: Collection[int]) -> None:
        """Some devices have yet to say that they have the data of a row; each that does, or cannot, goes from
        `devices`."""
        self._data_late.append((packed, place, devices))

    def prepare(self, row: Row, packed: bytes | None = None) -> RowWrite:
        """A row for homes of the present ring."""
        return prepare(row, self.ring.epoch, packed)

    async def follow(self, ring: Ring) -> None:
        """Use this ring from now on. Returns when no write is in flight that knows only an older one."""
        self.ring = ring
        while any(count for epoch, count in self._writing.items() if epoch < ring.epoch):
            await self._written.wait()
        self._writing = Counter({epoch: count for epoch, count in self._writing.items() if count})

    def _send(self, write: RowWrite, homes: Iterable[int]) -> None:
        """Write to homes without waiting: repair. What fails now is found again later."""
        for home in homes:
            try:
                self.bring(write, self.devices[home], _ignore)
            except DrystoneError as error:
                log.warning("repair not written", device=home, error=str(error))

    async def write_next(self, row: Row, packed: bytes) -> tuple[Row, Applied]:
        """Write a row as the newest version. The caller has the key's turn; `row.stamp` is chosen here."""
        seen = row.stamp
        for _ in range(STAMP_RETRIES):
            row = row._replace(stamp=self.stamps.next(seen))
            applied = await self.write(row, packed)
            if applied.stamp <= row.stamp.pack():
                return row, applied
            # Our clock is behind the version that is there: step over it.
            seen = Stamp.unpack(applied.stamp)
            self.stamps.observe(seen)
        raise ConflictError("the row changes faster than it can be written")

    # -- ranges --------------------------------------------------------------------------------------------------

    async def list_shard(
        self, table: bytes, shard: int, start: bytes, stop: bytes | None, limit: int, *, reverse: bool
    ) -> tuple[list[IndexRow], bytes | None]:
        """Rows of a shard with start <= name < stop, in order, tombstones left out; and the last name that was looked
        at where there may be more behind it, else None. There may be no rows and yet more to come: `limit` bounds what
        is looked at, so that a run of tombstones holds nobody up. Raises QuorumError.
        """
        for _ in range(READ_TRIES):
            with suppress(ReplacedError):  # a row that was to be brought to a home has just changed
                return await self._list_shard(table, shard, start, stop, limit, reverse=reverse)
        raise ReplacedError("rows change faster than they can be listed")

    async def _list_shard(
        self, table: bytes, shard: int, start: bytes, stop: bytes | None, limit: int, *, reverse: bool
    ) -> tuple[list[IndexRow], bytes | None]:
        place = self.place(table, shard)
        homes = self.ring.read_set(ROWS, place)
        needed = quorum(len(homes))
        pages: dict[int, list[tuple[bytes, bytes]]] = {}
        failures: dict[int, BaseException] = {}
        for home in homes:
            if len(pages) >= needed:
                break
            device = self.devices.get(home)
            if device is None or not device.trusted:
                continue
            waits = device.cold
            try:
                pages[home] = await device.list_rows(place, table, shard, start, stop, limit, reverse=reverse)
            except DrystoneError as error:
                failures[home] = error
                continue
            if waits:  # rows may have come and gone elsewhere meanwhile: what is compared is of one moment
                for other in [other for other in pages if other != home]:
                    try:
                        present = self.devices[other]
                        pages[other] = present.present_rows(place, table, shard, start, stop, limit, reverse=reverse)
                    except (KeyError, DrystoneError) as error:
                        failures[other] = error
                        del pages[other]
        if len(pages) < needed:
            raise QuorumError("listing a shard", needed, len(pages), failures)
        full = [page for page in pages.values() if len(page) == limit]
        first, *rest = pages.values()
        if all(_same(first, page) for page in rest):
            live = [decode_value(key, value) for key, value in first if not is_tombstone(value)]
            return live, row_name(*first[-1]) if full else None
        bound = None
        if full:
            # Each page is complete only up to its own last name: believe no one beyond the nearest of these.
            ends = [row_name(*page[-1]) for page in full]
            bound = max(ends) if reverse else min(ends)
        decoded = {}
        for home, page in pages.items():
            rows = [decode_value(key, value) for key, value in page]
            decoded[home] = [r for r in rows if bound is None or (r.name >= bound if reverse else r.name <= bound)]
        rows = await self._agree(place, table, shard, decoded, reverse=reverse)
        return [row for row in rows if row.live], bound

    async def _agree(
        self, place: int, table: bytes, shard: int, pages: dict[int, list[IndexRow]], *, reverse: bool
    ) -> list[IndexRow]:
        """The newest version of each row; those that not all homes have are written back."""
        newest: dict[bytes, IndexRow] = {}
        having: dict[bytes, list[int]] = {}
        for home, page in pages.items():
            for row in page:
                known = newest.get(row.name)
                if known is None or row.stamp > known.stamp:
                    newest[row.name] = row
                    having[row.name] = [home]
                elif row.stamp == known.stamp:
                    having[row.name].append(home)
        for name, row in newest.items():
            if len(having[name]) < len(pages):
                key = RowKey(place, table, shard, name)
                await self._write_back(key, index_key(key), ReadRow(row, tuple(having[name])))
        return [newest[name] for name in sorted(newest, reverse=reverse)]

    async def usage(self, table: bytes, shards: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a table. Exact once writes settle: homes that lag are outvoted."""
        total: dict[int, tuple[int, int]] = {}
        for shard in range(shards):
            for policy, (count, size) in (await self._shard_usage(table, shard)).items():
                before = total.get(policy, (0, 0))
                total[policy] = (before[0] + count, before[1] + size)
        return total

    async def _shard_usage(self, table: bytes, shard: int) -> dict[int, tuple[int, int]]:
        place = self.place(table, shard)
        homes = self.ring.read_set(ROWS, place)
        needed = quorum(len(homes))
        answers: list[dict[int, tuple[int, int]]] = []
        failures: dict[int, BaseException] = {}
        for home in homes:
            device = self.devices.get(home)
            if device is None or not device.trusted:
                continue
            try:
                answers.append(await device.usage(place, table, shard))
            except DrystoneError as error:
                failures[home] = error
        if len(answers) < needed:
            raise QuorumError("counting a shard", needed, len(answers), failures)
        return max(answers, key=answers.count)


def prepare(row: Row, epoch: int, packed: bytes | None = None) -> RowWrite:
    """A row encoded once for all of its homes, which were chosen by a ring of this epoch."""
    sealed = seal(Kind.ROW, encode_meta(row), row.payload)
    return RowWrite(row, packed or index_key(row.key), value_of(row), sealed, epoch)


def _stamp_of(row: IndexRow) -> bytes:
    return row.stamp


def _same(first: list[tuple[bytes, bytes]], second: list[tuple[bytes, bytes]]) -> bool:
    """Whether two replicas have the same versions of the same rows: where their records lie is their own matter."""
    if len(first) != len(second):
        return False
    return all(a[0] == b[0] and a[1][:STAMP_BYTES] == b[1][:STAMP_BYTES] for a, b in zip(first, second, strict=True))


def _nobody_hints(_packed: bytes, _lacking: Iterable[int], _having: Iterable[int]) -> None:
    """No daemon listens."""


def _nobody_settles(_target: RowKey, _data_id: bytes) -> None:
    """No daemon listens: the mark is found at the next start."""


def _nobody_remembers(_packed: bytes) -> None:
    """Nothing is cached."""


def _ignore(_applied: Applied | None, _error: DrystoneError | None) -> None:
    """A repair's answer: nobody waits for it."""
