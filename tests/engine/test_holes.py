"""Space of dropped blocks comes back, also where a crash came between the index and the hole."""

from __future__ import annotations

import errno
from random import Random

import pytest

from store.core.errors import DrystoneError
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import Location, RowKey
from store.engine import bulk
from store.engine.device import Device
from store.engine.flush import Flusher, joined
from store.engine.segment_usage import SegmentUsage
from tests.engine.devices import TABLE, on_device
from tests.simulation.disk import SimFile, SimMedium
from tests.twins.index import IndexMedium

KEY, STAYS = BlockKey(b"k" * 16, 0, 0), BlockKey(b"s" * 16, 0, 0)
OWNER = RowKey(1, TABLE, 0, b"a")


def _ignore(_error: object) -> None:
    """The answer is not waited for."""


async def put(device: Device, key: BlockKey, data: bytes) -> Location:
    losses = device.data_losses
    device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, OWNER), data), _ignore)
    await device.sync_data(losses)
    entry = device.blocks.find(key)
    assert entry is not None
    return entry.location


async def holds_anything(device: Device, location: Location) -> bool:
    segment, offset, length = location
    return any(device.segments.file(segment).read(offset, length))


@pytest.mark.parametrize("again", [False, True], ids=["dropped", "written again"])
def test_a_crash_before_the_hole_does_not_keep_the_space(monkeypatch: pytest.MonkeyPatch, *, again: bool) -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def punch_nothing(_self: Flusher, _locations: list[Location]) -> None:
        """The power goes here."""

    async def first(device: Device) -> Location:
        await put(device, STAYS, b"stays" * 1000)
        location = await put(device, KEY, b"data" * 1000)
        if again:
            await put(device, KEY, b"new" * 1000)
        else:
            device.submit_drop(KEY.data_id, _ignore)
        with monkeypatch.context() as patch:
            patch.setattr(Flusher, "_punch", punch_nothing)
            patch.setattr(SegmentUsage, "punched", lambda _self, _locations: None)
            await device.flush()
        assert await holds_anything(device, location)
        return location

    location = on_device(medium, index, first)

    async def second(device: Device) -> None:
        assert not await holds_anything(device, location)
        assert bytes(await device.read_block(STAYS)) == b"stays" * 1000
        if again:
            assert bytes(await device.read_block(KEY)) == b"new" * 1000
        await device.close()

    on_device(medium, index, second)
    on_device(medium, index, second)


def test_holes_are_noted_no_longer_than_needed() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def use(device: Device) -> None:
        await put(device, STAYS, b"stays")
        location = await put(device, KEY, b"data")
        device.submit_drop(KEY.data_id, _ignore)
        await device.flush()
        assert not await holds_anything(device, location)
        assert [key for key in index.entries if key.startswith(b"h")]
        await device.flush()
        assert not [key for key in index.entries if key.startswith(b"h")]

    on_device(medium, index, use)


def test_a_disk_that_cannot_punch_is_asked_again_and_holds_nobody_up() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    dropped: list[DrystoneError | None] = []

    def refuse(_self: SimFile, _offset: int, _length: int) -> None:
        raise OSError(errno.EIO, "punch")

    async def refused(device: Device) -> None:
        await put(device, STAYS, b"stays" * 1000)
        location = await put(device, KEY, b"data" * 1000)
        device.submit_drop(KEY.data_id, dropped.append)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimFile, "punch", refuse)
            with pytest.raises(OSError, match="punch"):
                await device.flush()
        assert dropped == [None]
        assert await holds_anything(device, location)
        await device.flush()
        assert not await holds_anything(device, location)

    on_device(medium, index, refused)


def test_a_segment_with_blocks_that_are_not_synced_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lives in it as far as the index knows, and the next one is written to already."""
    monkeypatch.setattr(bulk, "BULK_SEGMENT_BYTES", 64 * 1024)
    medium, index = SimMedium(Random(1)), IndexMedium()
    later = [BlockKey(b"l" * 16, number, 0) for number in range(2)]

    async def use(device: Device) -> None:
        await put(device, KEY, b"data")
        device.submit_drop(KEY.data_id, _ignore)
        losses = device.data_losses
        for key in later:  # the first fills the segment
            await device.write_block(key, seal(Kind.BLOCK, encode_meta(key, OWNER), b"later" * 20_000))
        await device.flush()
        await device.sync_data(losses)
        for key in later:
            assert bytes(await device.read_block(key)) == b"later" * 20_000

    on_device(medium, index, use)


def test_holes_that_lie_beside_each_other_are_one() -> None:
    apart = [Location(1, 0, 8), Location(1, 8, 4), Location(1, 16, 4), Location(2, 20, 4), Location(2, 24, 4)]
    assert list(joined(apart)) == [Location(1, 0, 12), Location(1, 16, 4), Location(2, 20, 8)]
    assert list(joined([])) == []
