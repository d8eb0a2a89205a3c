"""Kinds of records: one that is added is replayed, kept alive and moved by its handler; one that only a newer program
knows is neither lost nor taken for damage."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import msgpack
import pytest
import trio
from structlog.testing import capture_logs
from xxhash import xxh3_64_intdigest

from store.core.errors import DeviceError, DrystoneError
from store.core.stamp import Stamp
from store.device.block import BlockKey, encode_meta
from store.device.data_fence import DataFence
from store.device.data_fence import encode_meta as encode_fence
from store.device.promise import Promise
from store.device.promise import encode_meta as encode_promise
from store.device.record import Kind, seal
from store.device.row import Location, index_key
from store.device.row import encode_meta as encode_row
from store.engine import parts
from store.engine.data_fences import DataFences
from store.engine.device import Device
from store.engine.kinds import LogHandlers, TakeIn, bulk_handlers, log_handlers
from store.engine.options import Options
from store.engine.recovery import Found
from store.engine.row_table import RowTable
from tests.engine.devices import disk_of, on_device, row, write
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium

NOTE = 77
SMALL = Options(64 * 1024, 0, spares=0)
_AT = struct.Struct("<III")


class Notes:
    """Handles a kind that is not there: notes by name, of which the last of each name lives."""

    def __init__(self, row_table: RowTable) -> None:
        self._index = row_table._index
        self._usage = row_table._segment_usage
        self.moved: list[bytes] = []

    def at(self, name: bytes) -> Location | None:
        value = self._index.get(b"y" + name)
        return None if value is None else Location(*_AT.unpack(value))

    def take_in(self, name: bytes, at: Location) -> None:
        before = self.at(name)
        if before is not None:
            self._usage.add(before, -before.length)
        self._usage.add(at, at.length)
        self._index.put(b"y" + name, _AT.pack(*at))

    def replay(self, found: Found, *, in_doubt: bool) -> TakeIn:
        return partial(self.take_in, bytes(found.meta), found.location)

    def lives(self, found: Found) -> bool:
        return self.at(bytes(found.meta)) == found.location

    def move(self, found: Found, to: Location) -> None:
        name = bytes(found.meta)
        if self.lives(found):
            self.moved.append(name)
            self.take_in(name, to)


@contextmanager
def notes_known() -> Iterator[list[Notes]]:
    """Devices that are opened meanwhile know notes; the handler of each, the newest last."""
    made: list[Notes] = []

    def handlers(row_table: RowTable, data_fences: DataFences) -> LogHandlers:
        made.append(Notes(row_table))
        return {**log_handlers(row_table, data_fences), NOTE: made[-1]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "log_handlers", handlers)
        yield made


async def append(device: Device, kind: int, meta: bytes, payload: bytes = b"") -> Location:
    """Have a record in the log, durably, of which nothing else is known."""
    done = trio.Event()
    places: list[Location] = []

    def published(location: Location | None, error: DrystoneError | None) -> None:
        assert location is not None, error
        places.append(location)
        done.set()

    device._committer.submit(seal(kind, meta, payload), published)
    await done.wait()
    return places[0]


async def note(device: Device, notes: Notes, name: bytes) -> Location:
    location = await append(device, NOTE, name, b"what it says of " + name)
    notes.take_in(name, location)
    device.backlog.changed()
    return location


async def noted(device: Device, notes: Notes, name: bytes) -> Location:
    """Where the note is, which can be read there."""
    at = notes.at(name)
    assert at is not None
    assert await device.reads.meta(at) == name
    return at


async def write_tombstone(device: Device) -> None:
    """Leave the log segment so far to what lives in it, which no row does but one."""
    await write(device, row(b"stays", 1, b"data"))
    for time_us in range(1, 60):
        await write(device, row(b"comes and goes", time_us, bytes(5000)))
    await device.flush()


async def compact_all(device: Device) -> None:
    while await device.compact(0.9):
        await device.flush()


def opened(medium: SimMedium, index: IndexMedium, use: Callable[[Device], Awaitable[object]]) -> None:
    on_device(medium, index, use, SMALL)


def test_each_kind_has_its_handler() -> None:
    """In the log or in bulk segments: a kind that is added without one is known to nobody who handles segments."""

    async def use(device: Device) -> None:
        log, bulk = log_handlers(device.row_table, device.data_fences), bulk_handlers(device.blocks, device.segments)
        assert log.keys() | bulk.keys() == set(Kind)
        assert not log.keys() & bulk.keys()
        assert (device.log_records.keys(), device.bulk_records.keys()) == (log.keys(), bulk.keys())

    opened(SimMedium(Random(1)), IndexMedium(), use)


def test_a_kind_that_is_added_is_replayed() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    with notes_known() as notes:

        async def before(device: Device) -> None:
            await note(device, notes[-1], b"a")
            await write(device, row(b"o", 1, b"data"))
            await note(device, notes[-1], b"b")
            await note(device, notes[-1], b"a")

        async def after(device: Device) -> None:
            first, second = await noted(device, notes[-1], b"b"), await noted(device, notes[-1], b"a")
            assert first < second, "the order is that of the log"
            assert await device.find_row(index_key(row(b"o", 1).key)) is not None
            assert device.health.damage == []

        opened(medium, index, before)
        opened(medium, index, after)


def test_a_kind_that_is_added_lives_through_compaction_and_is_moved_by_its_handler() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    with notes_known() as notes:

        async def before(device: Device) -> None:
            dead = await note(device, notes[-1], b"a")
            first = await note(device, notes[-1], b"a")
            assert dead.segment == first.segment
            await write_tombstone(device)
            await compact_all(device)
            assert notes[-1].moved == [b"a"], "the one that lives, once"
            assert (await noted(device, notes[-1], b"a")).segment > first.segment
            assert first.segment not in device.segments.kinds

        async def after(device: Device) -> None:
            at = await noted(device, notes[-1], b"a")
            await write_tombstone(device)
            await compact_all(device)
            assert (await noted(device, notes[-1], b"a")).segment > at.segment

        opened(medium, index, before)
        opened(medium, index, after)


def test_a_start_that_finds_a_kind_of_a_newer_program_is_refused_and_changes_nothing() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    with notes_known() as notes:

        async def before(device: Device) -> None:
            await device.flush()
            await write(device, row(b"o", 1, b"data"))
            await note(device, notes[-1], b"a")
            await write(device, row(b"o", 2, b"data"))

        opened(medium, index, before)
    stored, files = dict(index.entries), medium.files()
    with pytest.raises(DeviceError, match=r"of kind 77.*newer Drystone"):
        opened(medium, index, _nothing)
    assert (dict(index.entries), medium.files()) == (stored, files)
    with notes_known() as notes:

        async def after(device: Device) -> None:
            await noted(device, notes[-1], b"a")
            assert device.in_sync

        opened(medium, index, after)


def test_compaction_keeps_a_segment_with_a_kind_of_a_newer_program() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    at: list[Location] = []
    with notes_known() as notes:

        async def before(device: Device) -> None:
            await write(device, row(b"with it", 1, b"data"))
            at.append(await note(device, notes[-1], b"a"))
            await write_tombstone(device)

        opened(medium, index, before)

    async def without(device: Device) -> None:
        with capture_logs() as logs:
            await write_tombstone(device)
            await compact_all(device)
            await write(device, row(b"with it", 2, b"data"))
            await write_tombstone(device)
            await compact_all(device)
        assert [entry["why"] for entry in logs if "kept for a newer" in entry["event"]] == [
            f"the record at {at[0].offset} of segment {at[0].segment:016x} is of kind 77, which is not known here: "
            "a newer Drystone wrote it"
        ]
        device.segment_usage.add(at[0], -device.segment_usage.live[at[0].segment])
        await device.flush()
        assert at[0].segment in device.segments.kinds, "whatever is said to live in it"
        device.segment_usage.add(at[0], at[0].length)
        await write(device, row(b"o", 1))
        await device.flush()

    opened(medium, index, without)
    opened(medium, index, without)
    with notes_known() as notes:

        async def after(device: Device) -> None:
            assert await noted(device, notes[-1], b"a") == at[0]
            await compact_all(device)
            assert await noted(device, notes[-1], b"a") > at[0]
            assert at[0].segment not in device.segments.kinds

        opened(medium, index, after)


# -- newer versions of known kinds, and what is of no form -------------------------------------------------------------


async def _newer_row(device: Device) -> None:
    fields = msgpack.unpackb(encode_row(row(b"o", 5)))
    await append(device, Kind.ROW, msgpack.packb([3, *fields[1:], "one more"]))


async def _unknown_flag(device: Device) -> None:
    await append(device, Kind.ROW, encode_row(row(b"o", 5, flags=128)))


async def _newer_promise(device: Device) -> None:
    fields = msgpack.unpackb(encode_promise(Promise(row(b"o", 1).key, Stamp(5, 1))))
    await append(device, Kind.PROMISE, msgpack.packb([2, *fields[1:]]))


async def _newer_fence(device: Device) -> None:
    fields = msgpack.unpackb(encode_fence(DataFence(b"D" * 16, 5, 5)))
    await append(device, Kind.FENCE, msgpack.packb([2, *fields[1:]]))


async def _newer_end(device: Device) -> None:
    await append(device, Kind.PREVIOUS_SEGMENT, msgpack.packb([2, 0, 0, 0]))


async def _newer_block(device: Device) -> None:
    fields = msgpack.unpackb(encode_meta(BlockKey(b"D" * 16, 0, 0), row(b"o", 1).key))
    sealed = seal(Kind.BLOCK, msgpack.packb([2, *fields[1:]]), b"data")
    await device.write_block(BlockKey(b"D" * 16, 0, 0), sealed)
    await device.sync_data(device.data_losses)


async def _kind_in_bulk(device: Device) -> None:
    await device.write_block(BlockKey(b"D" * 16, 0, 0), seal(NOTE, b"", b"data"))
    await device.sync_data(device.data_losses)


@pytest.mark.parametrize(
    "leave", [_newer_row, _unknown_flag, _newer_promise, _newer_fence, _newer_end, _newer_block, _kind_in_bulk]
)
def test_a_start_that_finds_a_version_of_a_newer_program_is_refused(leave: Callable[[Device], Awaitable[None]]) -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await write(device, row(b"o", 1, b"data"))
        await leave(device)
        await write(device, row(b"o", 9, b"data"))

    opened(medium, index, before)
    with pytest.raises(DeviceError, match="newer Drystone"):
        opened(medium, index, _nothing)


def header(version: int, segment: int) -> bytes:
    head = struct.pack("<8sBB2xIQ", b"DRYSTSEG", version, 1, 1, segment)
    return head + xxh3_64_intdigest(head).to_bytes(8, "little")


@pytest.mark.parametrize("kind", ["log", "bulk"])
def test_a_segment_of_a_newer_program_is_told_from_damage(kind: str) -> None:
    """Its records may have a form in which none of them is seen here: the log would be cut there."""
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await write(device, row(b"o", 1, b"data"))
        sealed = seal(Kind.BLOCK, encode_meta(BlockKey(b"D" * 16, 0, 0), row(b"o", 1).key), b"data")
        await device.write_block(BlockKey(b"D" * 16, 0, 0), sealed)
        await device.sync_data(device.data_losses)

    opened(medium, index, before)
    (name,) = [name for name in medium.files() if name.endswith(kind)]
    number = int(name.removeprefix("log/").removesuffix(f".{kind}"), 16)
    file = disk_of(medium).open(name)
    good = file.read(0, 4096)
    file.write(0, [header(2, number)])
    with pytest.raises(DeviceError, match=r"version 2 .*newer Drystone"):
        opened(medium, index, _nothing)
    damaged = bytearray(good)
    damaged[8] = 2  # without the checksum of a newer program it says nothing

    async def after(device: Device) -> None:
        assert await device.find_row(index_key(row(b"o", 1).key)) is not None
        assert await device.has_blocks(b"D" * 16) == [(0, 0)]

    file.write(0, [bytes(damaged)])
    opened(medium, index, after)


def test_a_record_of_no_known_form_is_damage_and_the_others_are_taken_in() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await append(device, Kind.ROW, b"\xc1")
        await append(device, Kind.ROW, msgpack.packb([0, 1]))
        await write(device, row(b"o", 9, b"data"))

    async def after(device: Device) -> None:
        assert [("known" in line) for line in device.health.damage] == [True, True]
        assert not device.in_sync
        assert await device.find_row(index_key(row(b"o", 9).key)) is not None

    opened(medium, index, before)
    opened(medium, index, after)


def test_a_record_of_no_known_form_keeps_its_segment_and_holds_no_other_up() -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"stays", 1, b"data"))
        at = await append(device, Kind.ROW, b"\xc1")
        device.segment_usage.add(at, at.length)
        await write_tombstone(device)
        await compact_all(device)
        assert at.segment in device.segments.kinds
        assert device.segment_usage.live[at.segment] == at.length, "what could be moved was"

    opened(SimMedium(Random(1)), IndexMedium(), use)


async def _nothing(_device: Device) -> None:
    """It is opened, that is all."""
