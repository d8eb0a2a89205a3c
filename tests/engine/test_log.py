"""The committer and recovery, one fault at a time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
import trio

from store.core.direct import Buffer
from store.core.errors import DamageError, DeviceError, FullError
from store.device.row import Flag, index_key, row_name
from store.engine.check import check_device
from store.engine.committer import BATCH_RECORDS_MAX, PreviousSegment
from store.engine.device import Device
from store.engine.options import Options
from tests.engine.devices import disk_of, on_device, row, write
from tests.simulation.disk import SimFile, SimMedium
from tests.twins.index import IndexMedium

SMALL = Options(64 * 1024, 0, spares=0)


@pytest.fixture
def medium() -> SimMedium:
    return SimMedium(Random(3))


@pytest.fixture
def index() -> IndexMedium:
    return IndexMedium()


async def _names(device: Device) -> list[bytes]:
    """All rows, each read whole; nothing may be wrong."""
    report = await check_device(device)
    assert report.problems == []
    assert device.health.damage == []
    assert device.in_sync
    return [
        row_name(*found) for found in device.row_table.shard_entries(1, b"t" * 16, 0, b"", None, 1000, reverse=False)
    ]


def test_records_that_wait_together_share_a_sync(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> tuple[int, int]:
        await write(device, row(b"first", 1))
        await write(device, *(row(b"%d" % number, number) for number in range(2, 52)))
        return device.commits

    syncs, records = on_device(medium, index, use)
    assert records == 52  # one more is the segment's previous-segment record
    assert syncs <= 5


def test_pages_are_written_whole(medium: SimMedium, index: IndexMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    write_file = SimFile.write

    def noting(file: SimFile, offset: int, buffers: Sequence[Buffer], *, cached: bool = True) -> None:
        ends.append(offset + sum(len(buffer) for buffer in buffers))
        write_file(file, offset, buffers, cached=cached)

    async def use(device: Device) -> list[bytes]:
        monkeypatch.setattr(SimFile, "write", noting)
        for number in range(20):
            assert await write(device, row(b"%02d" % number, number + 1, payload=bytes(number * 97))) == [None]
        return await _names(device)

    assert len(on_device(medium, index, use)) == 20
    assert len(ends) >= 20
    assert [end % 4096 for end in ends] == [0] * len(ends)


def test_a_failed_sync_fails_its_batch_and_nothing_else(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        assert await write(device, row(b"a", 1)) == [None]
        medium.fail_syncs = 1
        (error,) = await write(device, row(b"b", 2))
        assert isinstance(error, DeviceError)
        assert await write(device, row(b"c", 3)) == [None]

    on_device(medium, index, use, Options(256 * 1024, 0, spares=0))  # the sync that fails is the log's
    medium.lose_power()
    assert on_device(medium, index, _names) == [b"a", b"c"]


def test_two_failures_in_a_row_take_the_device_out(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"a", 1))
        medium.fail_syncs = 2
        for number in (2, 3):
            (error,) = await write(device, row(b"b", number))
            assert isinstance(error, DeviceError)
        with pytest.raises(DeviceError, match="is out"):
            await write(device, row(b"c", 4))
        with pytest.raises(DeviceError):
            await device.find_row(index_key(row(b"a", 1).key))

    on_device(medium, index, use, SMALL)
    medium.lose_power()
    assert b"a" in on_device(medium, index, _names)  # b was never acknowledged, and may be there


def test_a_full_disk_refuses_writes_but_not_tombstones(medium: SimMedium, index: IndexMedium) -> None:
    options = Options(64 * 1024, 32 * 1024, spares=0)

    async def use(device: Device) -> None:
        assert await write(device, row(b"a", 1)) == [None]
        medium.capacity = medium.used() + 1000
        with pytest.raises(FullError):  # noqa: PT012 - room is looked at now and then
            for number in range(2, 100):
                await write(device, row(b"b", number))
        assert await write(device, row(b"a", 100, flags=Flag.TOMBSTONE)) == [None]
        medium.capacity = 1 << 30
        assert await write(device, row(b"c", 101)) == [None]
        assert device.health.failed is None

    on_device(medium, index, use, options)


def test_a_torn_tail_is_cut_in_silence(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"a", 1), row(b"b", 2, b"x" * 1000))

    on_device(medium, index, use)
    (name,) = medium.files(".log")
    last = bytes(medium.names[name].now).rfind(b"DRYS")
    medium.flip(name, last + 100)
    assert on_device(medium, index, _names) in ([b"a"], [b"b"])


def test_damage_is_not_taken_for_a_torn_tail(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        for number, name in enumerate((b"a", b"b", b"c", b"d")):
            await write(device, row(name, number + 1, b"x" * 1000))

    on_device(medium, index, use)
    (name,) = medium.files(".log")
    records = bytes(medium.names[name].now).split(b"DRYS")
    medium.flip(name, len(b"DRYS".join(records[:4])) + 100)  # segment header, previous-segment record, a: then b

    async def look(device: Device) -> list[bytes]:
        assert len(device.health.damage) == 1
        assert not device.in_sync
        return [
            row_name(*found) for found in device.row_table.shard_entries(1, b"t" * 16, 0, b"", None, 9, reverse=False)
        ]

    assert on_device(medium, index, look) == [b"a", b"c", b"d"]


def test_what_was_cut_once_stays_cut(medium: SimMedium, index: IndexMedium) -> None:
    """A new segment's first batch is torn so that its previous-segment record is lost and a row in it is not. The
    restart decides that the row is not there; a second crash must not bring it back."""

    async def fill(device: Device) -> None:
        for number in range(1, 20):
            await write(device, row(b"a", number, b"x" * 3000))
        await write(device, row(b"torn", 20, b"y" * 5000), row(b"torn too", 21, b"y" * 10))

    on_device(medium, index, fill, SMALL)
    name = medium.files(".log")[-1]
    inode = medium.names[name]
    inode.settle()
    for data in (inode.now, inode.stable):
        data[4096 : 4096 + 512] = bytes(
            512
        )  # the previous-segment record and the first row; those behind them are whole

    async def go_on(device: Device) -> list[bytes]:
        found = await _names(device)
        assert await write(device, row(b"later", 10_000)) == [None]
        return found

    assert on_device(medium, index, go_on, SMALL) == [b"a"]
    medium.lose_power()
    assert on_device(medium, index, _names, SMALL) == [b"a", b"later"]


def test_compaction_gives_space_back_and_keeps_what_lives(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> tuple[int, list[bytes]]:
        await write(device, row(b"kept", 1, b"k" * 100))
        for number in range(2, 200):
            await write(device, row(b"again", number, b"x" * 2000))
        before = len(device.segments.kinds)
        while await device.compact(0.9):
            pass
        await device.flush()
        return before, await _names(device)

    before, names = on_device(medium, index, use, SMALL)
    assert before > 5
    assert names == [b"again", b"kept"]
    assert len(medium.files(".log")) <= 3
    medium.lose_power()
    assert on_device(medium, index, _names, SMALL) == [b"again", b"kept"]


def test_no_more_spare_segments_are_kept_than_wanted(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        for number in range(200):
            await write(device, row(b"again", number, b"x" * 2000))
        before = len(device.segments.kinds)
        await device.flush()
        assert before - len(device.segments.kinds) > 3
        assert len(device.segments.spares) <= 2  # one may have been made while another was recycled
        assert len(medium.files()) < before

    on_device(medium, index, use, Options(64 * 1024, 0, spares=1))


@pytest.mark.parametrize("flushed", [False, True])
def test_what_is_taken_after_a_release_outlives_a_crash(medium: SimMedium, index: IndexMedium, flushed: bool) -> None:
    """It is older than the tombstone that was released, and the index may know of that still."""
    tombstone, older = row(b"a", 9, flags=Flag.TOMBSTONE), row(b"a", 5)
    packed = index_key(older.key)

    async def use(device: Device) -> bool:
        await write(device, tombstone)
        device.retire_tombstone(packed, tombstone.stamp.pack())
        await device.flush()
        device.release_tombstone(packed, tombstone.stamp.pack())
        if flushed:
            await device.flush()
        await write(device, older)
        return await device.find_row(packed) is not None

    async def again(device: Device) -> bool:
        return await device.find_row(packed) is not None

    taken = on_device(medium, index, use)
    assert taken == flushed
    assert on_device(medium, index, again) == taken


def test_an_unreadable_range_is_damage_of_one_row(medium: SimMedium, index: IndexMedium) -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, b"x" * 3000), row(b"b", 2, b"x" * 3000))
        await device.flush()
        packed = index_key(row(b"a", 1).key)
        known = await device.find_row(packed)
        assert known is not None
        medium.unreadable(medium.files(".log")[0], known.location.offset, known.location.offset + 10)
        seen: list[bytes] = []
        device.on_damage = seen.append
        with pytest.raises(DamageError):
            await device.load_row(packed, known, payload=True)
        assert seen == [packed]
        other = await device.find_row(index_key(row(b"b", 2).key))
        assert other is not None
        assert (await device.load_row(index_key(row(b"b", 2).key), other, payload=True)).payload == b"x" * 3000

    on_device(medium, index, use)


def test_a_device_of_another_cluster_is_refused(medium: SimMedium, index: IndexMedium) -> None:
    async def nothing(_device: Device) -> None:
        await trio.lowlevel.checkpoint()

    on_device(medium, index, nothing)
    from store.engine.opening import open_device
    from tests.simulation.world import run
    from tests.twins.index import SimIndex

    async def other() -> None:
        with pytest.raises(DeviceError, match="not of"):
            await open_device(1, b"other" + bytes(11), disk_of(medium), lambda: SimIndex(index))

    run(other, Random(1))


def test_a_batch_has_a_bound_of_records() -> None:
    """Publishing a batch holds the loop, and many small rows are few bytes."""

    async def use(device: Device) -> None:
        before = device._committer.batches
        errors = await write(device, *(row(b"o%d" % number, 1) for number in range(4 * BATCH_RECORDS_MAX)))
        assert errors == [None] * (4 * BATCH_RECORDS_MAX)
        assert device._committer.batches - before >= 4

    on_device(SimMedium(Random(1)), IndexMedium(), use, Options(8 * 1024 * 1024, 0))


def test_a_release_is_in_the_index_soon_though_nothing_else_is_written(medium: SimMedium, index: IndexMedium) -> None:
    tombstone = row(b"a", 9, flags=Flag.TOMBSTONE)
    packed = index_key(tombstone.key)

    async def use(device: Device) -> None:
        await write(device, tombstone)
        device.retire_tombstone(packed, tombstone.stamp.pack())
        await device.flush()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.run)
            await trio.sleep(10)
            assert await device.retired_tombstones(b"", 10)
            device.release_tombstone(packed, tombstone.stamp.pack())
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert not [key for key in index.entries if key.startswith(b"f")]

    on_device(medium, index, use)


def test_nothing_is_given_back_of_a_segment_that_is_full(monkeypatch: pytest.MonkeyPatch, medium: SimMedium) -> None:
    """A hole of no bytes is an error to the file system."""
    punched: list[tuple[int, int]] = []

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1))
        segment = device._committer.segment
        monkeypatch.setattr(SimFile, "punch", lambda _self, start, length: punched.append((start, length)))
        await device._trim(PreviousSegment(segment, SMALL.log_bytes, 1))
        assert punched == []
        await device._trim(PreviousSegment(segment, SMALL.log_bytes - 4096, 1))
        assert punched == [(SMALL.log_bytes - 4096, 4096)]

    on_device(medium, IndexMedium(), use, SMALL)
