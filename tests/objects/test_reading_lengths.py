"""Reading data whose blocks have each their own length."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from store.core.errors import DamageError
from store.core.worker import Worker
from store.device.block import BlockKey
from store.device.port import DevicePort, ReadReply
from store.objects.reading import DataReader
from store.objects.rowcodec import DataLocation

UNIT = 8
ID = b"i" * 16
NO_WORKER = cast(Worker, None)


class Blocks:
    """A device that has some blocks, and gives of them what there is."""

    def __init__(self, number: int, blocks: Mapping[int, bytes], *, at_hand: bool = False) -> None:
        self.id = number
        self._blocks = blocks
        self._at_hand = at_hand

    def read_now(self, key: BlockKey, start: int, stop: int) -> memoryview | None:
        return memoryview(self._blocks[key.block][start:stop]) if self._at_hand and key.block in self._blocks else None

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        assert key == BlockKey(ID, key.block, 0)
        assert stop is None or start < stop
        if key.block in self._blocks:
            reply(self.id, memoryview(self._blocks[key.block][start:stop]), None)
        else:
            reply(self.id, None, DamageError("not here"))


def reader_of(
    lengths: tuple[int, ...],
    devices: Mapping[int, Mapping[int, bytes]],
    damages: list[None] | None = None,
    *,
    at_hand: bool = False,
) -> DataReader:
    ports = {number: cast(DevicePort, Blocks(number, blocks, at_hand=at_hand)) for number, blocks in devices.items()}
    found = [] if damages is None else damages
    location = DataLocation(UNIT, 0, 0, "", tuple(devices), lengths)
    return DataReader(ports, NO_WORKER, ID, UNIT * sum(lengths), location, lambda: found.append(None))


def cut(data: bytes, lengths: tuple[int, ...]) -> dict[int, bytes]:
    return {
        number: data[UNIT * sum(lengths[:number]) : UNIT * sum(lengths[: number + 1])] for number in range(len(lengths))
    }


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12).map(tuple), st.data())
def test_any_range_is_that_of_the_bytes(lengths: tuple[int, ...], draw: st.DataObject) -> None:
    data = Random(1).randbytes(UNIT * sum(lengths))
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    blocks = cut(data, lengths)
    reader = reader_of(lengths, {1: blocks, 2: blocks})

    async def read() -> bytes:
        return b"".join([bytes(piece) async for piece in reader.read(start, stop)])

    assert trio.run(read) == data[start:stop]


@pytest.mark.parametrize("at_hand", [False, True])
async def test_a_copy_that_is_shorter_than_its_row_says_is_passed_over_and_repaired(at_hand: bool) -> None:
    lengths, data = (2, 3), Random(1).randbytes(5 * UNIT)
    blocks = cut(data, lengths)
    damages: list[None] = []
    reader = reader_of(lengths, {1: {**blocks, 0: blocks[0][:-1]}, 2: blocks}, damages, at_hand=at_hand)
    assert b"".join([bytes(piece) async for piece in reader.read(0, len(data))]) == data
    assert damages
    alone = reader_of(lengths, {1: {**blocks, 1: blocks[1][:UNIT]}}, at_hand=at_hand)
    with pytest.raises(DamageError, match="too short"):
        [piece async for piece in alone.read(0, len(data))]


@pytest.mark.parametrize("at_hand", [False, True])
async def test_a_copy_that_is_known_to_be_bad_is_not_what_others_are_mended_from(at_hand: bool) -> None:
    lengths, data = (2, 3), Random(1).randbytes(5 * UNIT)
    blocks = cut(data, lengths)
    longer = {number: b"?" * UNIT + block for number, block in blocks.items()}
    reader = reader_of(lengths, {1: longer, 2: blocks}, at_hand=at_hand)
    for number, block in blocks.items():
        assert [bytes(piece) for piece in await reader.fragments(number, {1})] == [block]
    with pytest.raises(DamageError, match="known to be bad"):
        await reader.fragments(0, {1, 2})
