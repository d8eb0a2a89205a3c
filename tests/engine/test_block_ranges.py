"""Parts of a block: read by themselves, and verified by themselves."""

from __future__ import annotations

from random import Random

import pytest

from store.core.errors import DamageError
from store.core.limits import CHECK_BYTES
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import RowKey
from store.engine.device import Device
from tests.engine.devices import TABLE, on_device
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium

PIECES = 8
DATA = Random(3).randbytes(PIECES * CHECK_BYTES - 5)
BLOCK = BlockKey(b"d" * 16, 0, 0)
EDGES = (0, 1, CHECK_BYTES - 1, CHECK_BYTES, CHECK_BYTES + 1, 3 * CHECK_BYTES, len(DATA) - 1, len(DATA))


async def written(device: Device) -> tuple[str, int]:
    """The block, durable; the path of its segment, and where in it the payload begins."""
    losses = device.data_losses
    device.submit_block(
        BLOCK, seal(Kind.BLOCK, encode_meta(BLOCK, RowKey(1, TABLE, 0, b"o")), DATA), lambda _error: None
    )
    await device.sync_data(losses)
    entry = device._block(BLOCK)
    return device.segments.path(entry.location.segment), entry.location.offset + entry.payload_at


def test_every_range_is_what_was_written() -> None:
    async def use(device: Device) -> None:
        await written(device)
        for start in EDGES:
            for stop in EDGES:
                if start < stop:
                    assert bytes(await device.read_block(BLOCK, start, stop)) == DATA[start:stop], (start, stop)
        assert bytes(await device.read_block(BLOCK, 2 * CHECK_BYTES, 1 << 30)) == DATA[2 * CHECK_BYTES :]

    on_device(SimMedium(Random(1)), IndexMedium(), use)


@pytest.mark.parametrize("bad", [0, CHECK_BYTES - 1, CHECK_BYTES, 5 * CHECK_BYTES + 7, len(DATA) - 1])
def test_no_range_is_given_out_unverified(bad: int) -> None:
    """One byte is not as it was written: each range that shares its piece is refused, all others are had."""
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        path, payload_at = await written(device)
        medium.flip(path, payload_at + bad)
        for piece in range(PIECES):
            start = piece * CHECK_BYTES
            stop = min(start + CHECK_BYTES, len(DATA))
            for low, high in ((start, stop), (start, start + 1), (stop - 1, stop)):
                if piece == bad // CHECK_BYTES:
                    with pytest.raises(DamageError):
                        await device.read_block(BLOCK, low, high)
                else:
                    assert bytes(await device.read_block(BLOCK, low, high)) == DATA[low:high]
        with pytest.raises(DamageError):
            await device.read_block(BLOCK)

    on_device(medium, IndexMedium(), use)


@pytest.mark.parametrize("size", [5 * 4096 + 512, len(DATA)])
def test_what_is_at_hand_is_what_was_written_or_nothing(size: int) -> None:
    """The page cache has it every other time or so. Of a large record the sums are to be known, from a read before."""
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        device.submit_block(
            BLOCK, seal(Kind.BLOCK, encode_meta(BLOCK, RowKey(1, TABLE, 0, b"o")), DATA[:size]), lambda _error: None
        )
        assert device.read_now(BLOCK, 0, 10) is None, "nobody finds it before it is durable"
        await device.sync_data(device.data_losses)
        entry = device._block(BLOCK)
        for verified in (False, True):
            device._lookups.in_memory = True
            found = [device.read_now(BLOCK, start, start + 4096) for start in range(0, size - 4096, 4096) for _ in "ab"]
            had = {start: piece for start, piece in zip(range(len(found)), found, strict=True) if piece is not None}
            assert bool(had) == (verified or size <= CHECK_BYTES)
            for at, piece in had.items():
                assert bytes(piece) == DATA[at // 2 * 4096 : at // 2 * 4096 + 4096]
            assert bytes(await device.read_block(BLOCK, 0, 10)) == DATA[:10]
        medium.flip(device.segments.path(entry.location.segment), entry.location.offset + entry.payload_at + 5000)
        assert [device.read_now(BLOCK, 4096, 8192) for _ in range(20)] == [None] * 20
        device._lookups.in_memory = False
        assert device.read_now(BLOCK, size - 10, size) is None

    on_device(medium, IndexMedium(), use)


def test_what_is_at_hand_is_verified_by_the_sums_of_its_own_record() -> None:
    """Each of them has others."""
    medium = SimMedium(Random(1))
    keys = [BlockKey(b"d" * 16, number, 0) for number in range(3)]

    async def use(device: Device) -> None:
        losses = device.data_losses
        for key in keys:
            meta = encode_meta(key, RowKey(1, TABLE, 0, b"o"))
            device.submit_block(key, seal(Kind.BLOCK, meta, bytes([key.block]) * len(DATA)), lambda _error: None)
        await device.sync_data(losses)
        for key in keys:
            await device.read_block(key, 0, 10)
        device._lookups.in_memory = True
        for key in keys:
            pieces = [device.read_now(key, CHECK_BYTES, CHECK_BYTES + 10) for _ in range(20)]
            assert {bytes(piece) for piece in pieces if piece is not None} == {bytes([key.block]) * 10}

    on_device(medium, IndexMedium(), use)
