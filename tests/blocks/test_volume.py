"""A volume is a disk: what was written is read, and is there when it is opened again."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.blocks.disk import OwnerReplacedError
from store.blocks.volume import Volume
from tests.blocks.conftest import MIB, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read, request
from tests.simulation.node import SimNode


async def test_a_new_one_is_zeros(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as volume:
        assert await read(volume) == bytes(volume.size)


async def test_what_is_written_is_read_at_once_and_when_it_is_opened_again(autojump_clock: MockClock) -> None:
    data = Random(1).randbytes(3 * MIB)
    async with node_of(media()) as node:
        async with volume_of(node) as volume:
            await volume.write(PAGE, data)
            assert await read(volume, PAGE, len(data)) == data
            await volume.flush()
            assert await read(volume, PAGE, len(data)) == data
        async with volume_of(node) as volume:
            assert await read(volume, PAGE, len(data)) == data
            assert await read(volume, 0, PAGE) == bytes(PAGE)


@pytest.mark.parametrize("seed", range(6))
async def test_it_is_as_a_disk_whatever_is_asked_for(autojump_clock: MockClock, seed: int) -> None:
    random = Random(seed)
    async with node_of(media(seed=seed)) as node:
        model = ModelDisk(8 * MIB)
        for _ in range(3):
            async with volume_of(node, size=8 * MIB) as volume:
                for _ in range(60):
                    await request(volume, model, random, whole=seed % 2 == 0)
                    if random.random() < 0.1:
                        assert await read(volume) == model.data
                assert await read(volume) == model.data
        async with volume_of(node) as volume:
            assert await read(volume) == model.data


async def test_many_at_once_that_do_not_overlap(autojump_clock: MockClock) -> None:
    random = Random(1)
    async with node_of(media()) as node, volume_of(node) as volume:
        model = ModelDisk(volume.size)
        parts = [(at * 1000, random.randbytes(1000)) for at in range(2000)]
        async with trio.open_nursery() as nursery:
            for offset, data in parts:
                model.write(offset, data)
                nursery.start_soon(volume.write, offset, data)
        assert await read(volume) == model.data


async def test_who_opens_it_has_it(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        with suppress(OwnerReplacedError):  # when the old one is closed
            async with volume_of(node) as old:
                await old.write(0, b"a" * PAGE)
                await _replaced(node, old)
        async with volume_of(node) as last:
            assert await read(last, 0, PAGE) == b"b" * PAGE


async def _replaced(node: SimNode, old: Volume) -> None:
    async with volume_of(node) as new:
        assert await read(new, 0, PAGE) == b"a" * PAGE
        await new.write(0, b"b" * PAGE)
        with pytest.raises(OwnerReplacedError):
            await old.write(0, b"c" * PAGE)
        with pytest.raises(OwnerReplacedError):
            await old.flush()
        assert await read(new, 0, PAGE) == b"b" * PAGE


async def test_out_of_range(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as volume:
        for offset, length in ((volume.size - 1, 2), (-1, 1), (volume.size + 1, 0)):
            with pytest.raises(IndexError):
                await volume.read(offset, length)
        assert await volume.read(volume.size, 0) == []
