"""Promises outlive what a device outlives, and cost nothing where there are none."""

from __future__ import annotations

import errno
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random

import pytest
import trio

from store.core.errors import DamageError, DeviceError, DrystoneError, FullError
from store.core.stamp import Stamp
from store.device.port import Seen
from store.device.promise import index_key as promise_key
from store.device.row import STAMP_BYTES, Flag, Location, Origin, Row, RowKey, index_key, value_of
from store.engine import fences
from store.engine.check import check_device
from store.engine.compaction import Compactor
from store.engine.device import Device
from store.engine.fences import EVERYTHING, Fences
from store.engine.merged_index import MergedIndex
from store.engine.opening import open_device
from store.engine.options import Options
from store.engine.row_table import RowTable
from store.engine.segment_usage import SegmentUsage
from store.engine.superblock import read_superblock
from tests.engine.ballots import apply, ask, look, promise
from tests.engine.devices import CLUSTER, TABLE, disk_of, on_device, row, write
from tests.simulation.crash_point import CrashPoint
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.worker import Turns
from tests.simulation.world import run
from tests.twins.index import IndexMedium, SimIndex

SMALL = Options(64 * 1024, 0, spares=0)
NAMES = [b"a", b"b", b"n" * 401]


def at(time_us: int) -> bytes:
    return Stamp(time_us, 1).pack()


def packed(name: bytes) -> bytes:
    return index_key(row(name, 1).key)


def stamp_of(seen: Seen) -> bytes:
    return b"" if seen.value is None else seen.value[:STAMP_BYTES]


async def fill_up(device: Device, segments: int = 3) -> None:
    """Leave what is in the log so far to compaction."""
    for time_us in range(1, segments * 12):
        await write(device, row(b"comes and goes", time_us, bytes(5000)))
    await device.flush()


async def compact_all(device: Device) -> None:
    while await device.compact(0.99):
        await device.flush()


def location_of(device: Device, name: bytes) -> Location:
    known = device.row_table.promises.by_row[packed(name)]
    return known.location


# -- crashes -----------------------------------------------------------------------------------------------------------


@dataclass
class History:
    """What one row may be seen as."""

    tried: set[bytes] = field(default_factory=lambda: {b""})
    """Versions that may be here."""
    asked: set[bytes] = field(default_factory=lambda: {bytes(STAMP_BYTES)})
    """Floors that may be here."""
    taken: bytes = b""
    """The newest version that was answered as taken."""
    floor: bytes = b""
    """The highest floor that was answered."""

    def judge(self, seen: Seen) -> None:
        stamp = stamp_of(seen)
        assert stamp in self.tried, "nobody wrote it, or it was kept out"
        assert stamp >= self.taken, "what was taken is gone"
        assert seen.floor >= self.floor, "what was promised is gone"
        assert seen.floor in self.asked | {stamp}, "nobody asked for it"
        self.tried, self.taken, self.floor = {stamp}, stamp, seen.floor
        self.asked = {seen.floor}


class Crashing:
    """Rows and promises on one device whose power goes at a step."""

    def __init__(self, seed: int, cut_at: int, only: str) -> None:
        self.random = Random(seed)
        self.medium, self.index = SimMedium(Random(seed)), IndexMedium()
        self.crash_point = CrashPoint(cut_at, only)
        self.histories: dict[bytes, History] = defaultdict(History)
        self.promised = False

    async def _opened(self) -> Device:
        disk = SimDisk(self.medium, self.crash_point, Turns(Random(1)))
        index = SimIndex(self.index, self.crash_point.step, Random(2))
        return await open_device(1, CLUSTER, disk, lambda: index, SMALL)

    def live(self) -> bool:
        """Live until the cut; whether it came."""

        async def main() -> None:
            device = await self._opened()
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(self._work, device)

        try:
            run(main, Random(1))
        except BaseException:
            if not self.crash_point.dead:
                raise
        cut = self.crash_point.dead
        self.crash_point.cut()
        self.medium.lose_power()
        return cut

    async def _work(self, device: Device) -> None:
        for _ in range(12):
            name, time_us = self.random.choice(NAMES), self.random.randint(1, 40)
            what = self.random.choice("rrppfc")
            if what == "r":
                await self._write(device, name, time_us)
            elif what == "p":
                history = self.histories[name]
                history.asked.add(at(time_us))
                seen = await promise(device, name, time_us)
                history.floor = max(history.floor, seen.floor)
                self.promised = self.promised or not seen.barred
            elif what == "f":
                await device.flush()
            else:
                await device.compact(0.99)

    async def _write(self, device: Device, name: bytes, time_us: int) -> None:
        history = self.histories[name]
        was_tried = at(time_us) in history.tried
        history.tried.add(at(time_us))
        applied = await apply(device, row(name, time_us, bytes(4000)))
        if applied.barred and not was_tried:
            history.tried.discard(at(time_us))
        history.floor = max(history.floor, applied.floor, applied.stamp)
        history.taken = max(history.taken, applied.stamp)

    def check(self) -> None:
        self.crash_point = CrashPoint()

        async def main() -> None:
            device = await self._opened()
            assert device.in_sync
            assert device.health.damage == []
            assert (await check_device(device)).problems == []
            for name in NAMES:
                self.histories[name].judge(await look(device, name))

        run(main, Random(1))
        superblock = read_superblock(disk_of(self.medium))
        assert superblock is not None
        assert superblock.has_ballots >= self.promised


@pytest.mark.parametrize("only", ["sync *.log", "write *.log*", "index *", "rename *", "*"])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_promised_is_there_after_a_loss_of_power_at_any_moment(seed: int, only: str) -> None:
    cuts = 0
    for cut_at in range(1, 200, 1 if only != "*" else 7):
        crashing = Crashing(seed, cut_at, only)
        if not crashing.live():
            break
        crashing.check()
        cuts += 1
    assert cuts >= (1 if only == "rename *" else 5)


# -- loss of the index, compaction, damage -----------------------------------------------------------------------------


def test_without_its_index_a_device_knows_its_promises_from_the_log_and_loses_no_row_to_them() -> None:
    """Compaction has put the row behind the promise that was given later."""
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await write(device, row(b"a", 5, b"data"), row(b"b", 1, b"data"))
        await promise(device, b"a", 8)
        await promise(device, b"b", 3)
        await promise(device, b"b", 4)
        await write(device, row(b"b", 4, b"newer"))
        await fill_up(device)
        await promise(device, b"a", 9)
        given = location_of(device, b"a")
        await compact_all(device)
        assert location_of(device, b"a") == given
        found = await device.find_row(packed(b"a"))
        assert found is not None
        assert found.location > given

    async def after(device: Device) -> None:
        assert not device.in_sync
        seen = await promise(device, b"a", 9)
        assert (stamp_of(seen), seen.floor, seen.believed) == (at(5), at(9), False)
        assert (await apply(device, row(b"a", 8))).barred
        found = await device.find_row(packed(b"b"))
        assert found is not None
        assert found.stamp == at(4)
        assert list(device.row_table.promises.by_row) == [packed(b"a")], "what was reached is none any more"
        assert (await check_device(device)).problems == []

    on_device(medium, index, before, SMALL)
    index.wipe()
    on_device(medium, index, after, SMALL)
    on_device(medium, index, after, SMALL)


def test_what_a_promise_kept_out_does_not_come_by_a_replay() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await promise(device, b"a", 8)
        await device.flush()
        assert (await apply(device, row(b"a", 7))).barred

    async def after(device: Device) -> None:
        assert (await look(device, b"a")).value is None

    on_device(medium, index, before)
    on_device(medium, index, after)


def test_compaction_keeps_a_promise_until_it_is_reached() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await promise(device, b"a", 8)
        await promise(device, b"a", 9)
        first = location_of(device, b"a")
        await fill_up(device)
        await compact_all(device)
        assert first.segment not in device.segments.kinds
        assert location_of(device, b"a").segment > first.segment
        assert (await check_device(device)).problems == []

    async def after(device: Device) -> None:
        assert (await look(device, b"a")).floor == at(9)
        held = location_of(device, b"a")
        await fill_up(device)
        assert device.segment_usage.live[held.segment] >= held.length
        await write(device, row(b"a", 9))
        assert packed(b"a") not in device.row_table.promises.by_row
        await fill_up(device)
        await compact_all(device)
        assert held.segment not in device.segments.kinds
        assert (await check_device(device)).problems == []
        assert promise_key(packed(b"a")) not in index.entries

    on_device(medium, index, before, SMALL)
    on_device(medium, index, after, SMALL)


def test_of_a_promise_that_is_given_while_compaction_copies_another_the_newer_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def use(device: Device) -> None:
        await promise(device, b"a", 8)
        await fill_up(device)
        lives = Compactor._lives
        asked: list[bytes] = []

        def lives_and_ask(self: Compactor, found: object) -> bool:
            answer = lives(self, found)  # type: ignore[arg-type]
            if answer and not asked:
                asked.append(b"a")
                ask(device, b"a", 9, lambda *_: None)
            return answer

        monkeypatch.setattr(Compactor, "_lives", lives_and_ask)
        await compact_all(device)
        assert asked
        assert (await look(device, b"a")).floor == at(9)
        assert (await check_device(device)).problems == []

    on_device(SimMedium(Random(1)), IndexMedium(), use, SMALL)


def test_a_device_that_has_lost_a_promise_is_not_believed() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await promise(device, b"a", 8)
        await promise(device, b"b", 9)
        await device.flush()

    async def after(device: Device) -> None:
        assert not device.in_sync
        assert device.health.damages == 1
        assert (await promise(device, b"b", 9)).floor == at(9)
        await device.set_in_sync(in_sync=True)

    async def later(device: Device) -> None:
        assert device.in_sync
        assert device.health.damages == 0

    on_device(medium, index, before)
    key = promise_key(packed(b"a"))
    index.entries[key] = b"?" + index.entries[key][1:]
    on_device(medium, index, after)
    on_device(medium, index, later)


def test_a_promise_of_a_row_that_cannot_be_read_is_given_but_not_answered() -> None:
    index = IndexMedium()

    async def use(device: Device) -> None:
        await write(device, row(b"a", 5))
        await device.flush()
        index.entries[packed(b"a")] = b"?" + index.entries[packed(b"a")][1:]
        with pytest.raises(DamageError):
            await promise(device, b"a", 8)
        with pytest.raises(DamageError):
            await look(device, b"a")
        assert (await apply(device, row(b"a", 7))).barred
        assert not (await apply(device, row(b"a", 9))).barred
        assert not (await apply(device, row(b"a", 8))).covers, "what was here before may have been of any stamp"

    on_device(SimMedium(Random(1)), index, use)


# -- programs that know of none ----------------------------------------------------------------------------------------


async def _promise(device: Device) -> None:
    await promise(device, b"a", 8)


async def _conditional(device: Device) -> None:
    await apply(device, row(b"a", 8)._replace(origin=Origin(at(5), at(5), at(5))))


@pytest.mark.parametrize("use", [_promise, _conditional])
def test_a_device_with_promises_or_versions_that_are_not_plain_is_not_for_older_programs(use: object) -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    def has_ballots() -> bool:
        superblock = read_superblock(disk_of(medium))
        assert superblock is not None
        return superblock.has_ballots

    async def plain(device: Device) -> None:
        await apply(device, row(b"a", 1))
        await apply(device, row(b"b", 1, flags=Flag.TOMBSTONE))
        await look(device, b"a")
        await device.set_in_sync(in_sync=True)

    on_device(medium, index, plain)
    assert not has_ballots()
    on_device(medium, index, use)  # type: ignore[arg-type]
    medium.lose_power()
    assert has_ballots()
    on_device(medium, index, plain)
    assert has_ballots()


@pytest.mark.parametrize(("code", "raised"), [(errno.EIO, DeviceError), (errno.ENOSPC, FullError)])
@pytest.mark.parametrize("use", [_promise, _conditional])
def test_what_an_older_program_would_not_know_of_is_not_answered_before_it_is_kept_away(
    monkeypatch: pytest.MonkeyPatch, use: object, code: int, raised: type[DrystoneError]
) -> None:
    async def main(device: Device) -> None:
        await apply(device, row(b"b", 1))

        def fails(*_: object) -> None:
            raise OSError(code, "not now")

        with monkeypatch.context() as patch:
            patch.setattr("store.engine.standing.write_superblock", fails)
            with pytest.raises(raised):
                await use(device)  # type: ignore[operator]
        if raised is FullError:
            await use(device)  # type: ignore[operator]

    on_device(SimMedium(Random(1)), IndexMedium(), main)


# -- what they cost ----------------------------------------------------------------------------------------------------


def test_a_plain_row_is_written_without_a_look_for_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []
    found = SimIndex.peek

    def peek(self: SimIndex, key: bytes) -> bytes | None:
        looked.append(key)
        return found(self, key)

    async def use(device: Device) -> None:
        await promise(device, b"b", 8)
        await write(device, row(b"a", 1))
        await device.flush()
        looked.clear()
        await write(device, row(b"a", 2, b"data"), row(b"c", 1))
        assert {key[:1] for key in looked} <= {b"r", b"c"}
        assert sorted(key for key in looked if key[:1] == b"r") == [packed(b"a"), packed(b"c")]

    monkeypatch.setattr(SimIndex, "peek", peek)
    on_device(SimMedium(Random(1)), IndexMedium(), use)


# -- fences ------------------------------------------------------------------------------------------------------------


def test_fences_are_of_the_rows_that_were_written_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "FENCES_MAX", 10)
    kept = Fences()
    for number in range(100):
        kept.begin(b"%d" % number, b"fence")
        known = [kept.of(b"%d" % each) == b"fence" for each in range(number + 1)]
        assert 10 <= sum(known) <= 20 or all(known)
        assert known == sorted(known)
    kept.begin(b"99", b"later")
    kept.raise_to(b"99", b"f")
    assert kept.of(b"99") == b"fence"
    kept.raise_to(b"99", b"g")
    assert kept.of(b"99") == b"g"
    kept.clear()
    assert kept.of(b"99") == EVERYTHING


def test_a_fence_that_is_forgotten_covers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "FENCES_MAX", 2)

    async def use(device: Device) -> None:
        await write(device, row(b"a", 2))
        await write(device, row(b"a", 9))
        assert (await apply(device, row(b"a", 5))).covers
        for number in range(4):
            await write(device, row(b"%d" % number, 1))
        assert not (await apply(device, row(b"a", 5))).covers
        await write(device, row(b"a", 12))
        assert (await apply(device, row(b"a", 10))).covers
        assert not (await apply(device, row(b"a", 5))).covers

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def _table() -> tuple[RowTable, bytes]:
    index = MergedIndex(SimIndex(IndexMedium()))
    return RowTable(index, SegmentUsage(index), lambda _key, _what: None), packed(b"o")


def _take(row_table: RowTable, time_us: int, flags: int = 0) -> bool:
    written = Row(RowKey(1, TABLE, 0, b"o"), Stamp(time_us, 1), flags, 0, 1, 0, b"", b"", b"", b"")
    return row_table.apply(packed(b"o"), written, value_of(written), Location(1, 4096 + time_us * 64, 64)).covers


@pytest.mark.parametrize("how", ["forget", "release"])
def test_what_comes_after_a_version_that_is_forgotten_covers_nothing_below_that(how: str) -> None:
    row_table, key = _table()
    _take(row_table, 9, Flag.TOMBSTONE)
    row_table.fences.clear()
    if how == "forget":
        assert row_table.forget(key, at(9))
    else:
        assert row_table.retire(key, at(9))
        row_table.release(key, at(9))
        row_table.released(row_table.take_releasing(), durably=True)
    _take(row_table, 12)
    assert not _take(row_table, 7)
    assert _take(row_table, 10)
