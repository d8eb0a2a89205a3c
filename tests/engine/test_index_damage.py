"""Damage in the index: of one value, whose row is counted anew; of the whole, which takes the device out; and of a
record, whose segment cannot be compacted and must not keep the others waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import msgpack
import pytest
import trio

from store.core.errors import DamageError, DeviceError
from store.core.stamp import Stamp
from store.device.row import UPLOAD, Flag, Location, Row, RowValue, index_key, value_of
from store.engine import usage
from store.engine.check import check_device
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from tests.engine.devices import CLUSTER, TABLE, disk_of, on_device, row, write
from tests.simulation.disk import SimMedium
from tests.simulation.world import run
from tests.twins.index import IndexMedium, SimIndex


def test_a_row_over_a_damaged_entry_is_counted_once() -> None:
    index = IndexMedium()

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, b"old"), row(b"b", 1, b"other"))
        await device.flush()
        packed = index_key(row(b"a", 1).key)
        index.entries[packed] = b"?" + index.entries[packed][1:]
        await write(device, row(b"a", 2, b"newer"))
        await device.row_table.recount()
        assert await device.usage(1, TABLE, 0, epoch=1) == {0: (2, len(b"newer") + len(b"other"))}

    on_device(SimMedium(Random(1)), index, use)


def test_a_row_over_a_damaged_tombstone_leaves_no_note_of_it() -> None:
    """It would be looked at by every round of the tombstone collector, and never go."""
    index = IndexMedium()

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, flags=Flag.TOMBSTONE))
        await device.flush()
        packed = index_key(row(b"a", 1).key)
        index.entries[packed] = b"?" + index.entries[packed][1:]
        await write(device, row(b"a", 2, b"newer"))
        assert await device.tombstones(b"", 10) == []

    on_device(SimMedium(Random(1)), index, use)


@pytest.mark.parametrize("value", [b"?", msgpack.packb((1, 2)), msgpack.packb({}), b"\x81\x90\x01"])
def test_a_damaged_note_of_displaced_data_does_not_keep_others_waiting(value: bytes) -> None:
    index = IndexMedium()

    async def use(device: Device) -> None:
        for number in range(3):
            data_id = bytes([number]) * 16
            name = b"o%d" % number
            await write(device, row(name, 1, flags=Flag.DATA)._replace(data_id=data_id), row(name, 2, b"newer"))
        await device.flush()
        notes = sorted(key for key in index.entries if key[:1] == b"g")
        assert len(notes) == 3
        index.entries[notes[1]] = value
        assert [note.owner.name for note in await device.garbage(b"", 10)] == [b"o0", b"o2"]
        assert device.health.damages == 1
        await device.flush()
        assert notes[1] not in index.entries

    on_device(SimMedium(Random(1)), index, use)


@pytest.mark.parametrize("flags", [0, Flag.ABORT], ids=["commit", "abort"])
def test_a_guard_that_cannot_be_read_keeps_everything_out(flags: int) -> None:
    """The mark may say that the upload is given up; the row, that it was committed."""
    index = IndexMedium()

    async def use(device: Device) -> None:
        data_id = b"D" * 16
        mark = row(UPLOAD + data_id, 1)._replace(summary=b"o")
        target = row(b"o", 3, flags=Flag.DATA | Flag.GUARD)._replace(data_id=data_id)
        guard, guarded = (mark, target) if not flags else (target, mark._replace(flags=flags))
        await write(device, guard)
        await device.flush()
        packed = index_key(guard.key)
        index.entries[packed] = b"?" + index.entries[packed][1:]
        (error,) = await write(device, guarded._replace(stamp=Stamp(5, 1)))
        assert isinstance(error, DamageError)
        assert await device.find_row(index_key(guarded.key)) is None

    on_device(SimMedium(Random(1)), index, use)


@pytest.mark.parametrize("look", [Device.find_row, Device.find_stamp])
def test_a_damaged_entry_is_no_absence(look: Callable[[Device, bytes], Awaitable[object]]) -> None:
    index = IndexMedium()

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, b"old"))
        await device.flush()
        packed = index_key(row(b"a", 1).key)
        index.entries[packed] = b"?" + index.entries[packed][1:]
        with pytest.raises(DamageError):
            await look(device, packed)
        await write(device, row(b"a", 1, b"old"))
        assert await look(device, packed) is not None

    on_device(SimMedium(Random(1)), index, use)


def test_a_damaged_count_is_made_anew() -> None:
    index = IndexMedium()

    async def use(device: Device) -> None:
        with pytest.raises(DamageError):
            await device.usage(1, TABLE, 0, epoch=1)
        await device.row_table.recount()
        assert await device.usage(1, TABLE, 0, epoch=1) == {0: (1, 3)}

    async def prepare(device: Device) -> None:
        await write(device, row(b"a", 1, b"old"))
        await device.flush()

    medium = SimMedium(Random(1))
    on_device(medium, index, prepare)
    for key in index.entries:
        if key.startswith(b"c"):
            index.entries[key] = b"\xc1"
    on_device(medium, index, use)


def test_a_check_says_which_count_is_damaged() -> None:
    """It is no reason to check nothing more; once made anew, the count is right."""
    index = IndexMedium()

    async def prepare(device: Device) -> None:
        await write(device, row(b"a", 1, b"old"))
        await device.flush()

    async def use(device: Device) -> None:
        report = await check_device(device)
        assert report.rows == 1
        assert ["counted anew" in problem for problem in report.problems] == [True]
        assert (await check_device(device)).problems == []

    medium = SimMedium(Random(1))
    on_device(medium, index, prepare)
    for key in index.entries:
        if key.startswith(b"c"):
            index.entries[key] = b"\xc1"
    on_device(medium, index, use)


def test_rows_change_while_they_are_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the place that the count has come to, at it, and behind."""
    monkeypatch.setattr(usage, "SLICE", 3)
    names = [b"%02d" % number for number in range(0, 20, 2)]

    async def use(device: Device) -> None:
        await write(device, *(row(name, 1, b"old") for name in names))
        device.row_table._usage.spoil(index_key(row(b"", 1).key))
        time_us = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.row_table.recount)
            for name in (b"01", b"00", b"08", b"09", b"18", b"19"):
                await trio.lowlevel.checkpoint()
                time_us += 1
                device.row_table.apply(*_applied(row(name, time_us, b"newer")))
                device.row_table.apply(*_applied(row(b"04", time_us, flags=Flag.TOMBSTONE)))
        live = dict.fromkeys(names, b"old") | dict.fromkeys((b"01", b"00", b"08", b"09", b"18", b"19"), b"newer")
        del live[b"04"]
        assert await device.usage(1, TABLE, 0, epoch=1) == {0: (len(live), sum(map(len, live.values())))}
        await device.flush()

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def _applied(each: Row) -> tuple[bytes, Row, RowValue, Location]:
    return index_key(each.key), each, value_of(each), Location(1, 4096, 8)


def test_a_broken_index_takes_the_device_out(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Callable[[DamageError], None]] = []

    def broken(self: SimIndex, _key: bytes) -> bytes:
        error = DamageError("MDB_CORRUPTED")
        watched[-1](error)
        raise error

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1))
        await device.flush()
        with monkeypatch.context() as patch:
            patch.setattr(SimIndex, "get", broken)
            with pytest.raises(DamageError):
                await device.find_row(index_key(row(b"a", 1).key))
        with pytest.raises(DeviceError, match="rebuilt from the log"):
            await device.find_row(index_key(row(b"a", 1).key))
        await device.close()
        assert device.health.broken_index
        assert not device.closed

    monkeypatch.setattr(SimIndex, "watch", lambda _self, on_broken: watched.append(on_broken))
    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_segment_that_cannot_be_compacted_does_not_keep_others_waiting() -> None:
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        await write(device, row(b"bad", 1, bytes(1000)))
        bad = device.row_table.row(index_key(row(b"bad", 1).key))
        assert bad is not None
        for number in range(6):
            await write(device, row(b"kept%d" % number, 1, bytes(1500)))
            for time_us in range(1, 9):
                await write(device, row(b"o", 100 * number + time_us, bytes(30_000)))
        await device.flush()
        medium.flip(device.segments.path(bad.location.segment), bad.location.offset + 60)
        before = set(device.compactor.compactable(0.5))
        assert len(before) > 2
        for _ in range(12):
            await device.compact(0.5)
        assert set(device.segments.kinds) & before == {bad.location.segment}

    on_device(medium, IndexMedium(), use, Options(128 * 1024, 0))


def test_an_index_that_cannot_be_read_at_the_start_is_let_go_of() -> None:
    """It is locked by whoever has it open: the next try could not open it."""
    closed: list[bool] = []

    class Unreadable(SimIndex):
        def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> list[tuple[bytes, bytes]]:
            raise DamageError("it cannot be read")

        def close(self) -> None:
            closed.append(True)

    async def main() -> None:
        with pytest.raises(DamageError):
            await open_device(1, CLUSTER, disk_of(SimMedium(Random(1))), lambda: Unreadable(IndexMedium()))

    run(main, Random(1))
    assert closed == [True]
