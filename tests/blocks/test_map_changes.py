"""What changed between two snapshots is known from their maps: never too little, and at the cost of what changed."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from unittest import mock

import pytest
from trio.testing import MockClock

from store.blocks import checkpointer
from store.blocks.checkpoints import Checkpoints
from store.blocks.interface import Changed
from store.blocks.opening import snapshot_changes
from store.blocks.page_table import PAGE_ENTRIES
from store.core.errors import NotFoundError
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, request
from tests.blocks.test_checkpointing import checkpoint
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits

SIZE = 8 * MIB


async def changed(
    node: SimNode, since: str, snapshot: str, offset: int = 0, length: int = SIZE, limit: int = 1000
) -> list[Changed]:
    container = await catalogue_of(node).find("v")
    return await snapshot_changes(node.store, container, since, snapshot, offset, length, limit)


def pages_of(ranges: list[Changed]) -> set[int]:
    return {page for one in ranges for page in range(one.offset // PAGE, sum(one) // PAGE)}


def differing(old: bytes, new: bytes) -> set[int]:
    return {at // PAGE for at in range(0, len(new), PAGE) if old[at : at + PAGE] != new[at : at + PAGE]}


@pytest.mark.parametrize("leaves", [0, 10_000], ids=["stored maps", "logs behind the maps"])
async def test_all_that_differs_is_told_of_and_nothing_that_was_not_touched(
    autojump_clock: MockClock, leaves: int
) -> None:
    """`leaves`: that may have changed where a snapshot is to be a map and not the log behind one."""
    random = Random(3)
    with small_volume_limits(), mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", leaves):
        async with node_of(media()) as node:
            model, kept = ModelDisk(SIZE), list[bytes]()
            async with volume_of(node, size=SIZE) as volume:
                for number in range(4):
                    for _ in range(25):
                        await request(volume, model, random)
                    await volume.snapshot(f"s{number}")
                    kept.append(bytes(model.data))
                    if number == 1:
                        await checkpoint(volume)
            for since in range(4):
                for to in range(since, 4):
                    ranges = await changed(node, f"s{since}", f"s{to}")
                    assert differing(kept[since], kept[to]) <= pages_of(ranges)
                    assert ranges == sorted(ranges)
                    assert all(sum(one) < after.offset for one, after in pairwise(ranges))
            assert await changed(node, "s2", "s2") == []


async def test_what_is_as_it_was_is_not_told_of(autojump_clock: MockClock) -> None:
    """Whether the one map or both are stored."""
    async with node_of(media()) as node:
        async with volume_of(node, size=SIZE) as volume:
            await volume.write(0, b"a" * 4 * MIB)
            await volume.snapshot("s0")
            await checkpoint(volume)
            await volume.write(MIB, b"b" * 3 * PAGE)
            await volume.zero(7 * MIB, PAGE)
            await volume.discard(2 * MIB, PAGE)
            await volume.snapshot("s1")
            await checkpoint(volume)
            await volume.snapshot("s2")
        expected = [Changed(MIB, 3 * PAGE), Changed(2 * MIB, PAGE)]
        assert await changed(node, "s0", "s1") == expected
        assert await changed(node, "s0", "s2") == expected
        assert await changed(node, "s1", "s2") == []
        assert await changed(node, "s0", "s2", limit=1) == expected[:1]
        assert await changed(node, "s0", "s2", MIB + PAGE, MIB - PAGE) == [Changed(MIB + PAGE, 2 * PAGE)]
        assert await changed(node, "s0", "s2", 2 * MIB, 6 * MIB) == expected[1:]
        assert await changed(node, "s0", "s2", 0, 0) == []
        with pytest.raises(NotFoundError):
            await changed(node, "s0", "s3")
        with pytest.raises(IndexError):
            await changed(node, "s0", "s2", MIB, SIZE)


async def test_pages_that_both_have_are_not_read(autojump_clock: MockClock) -> None:
    leaf = PAGE_ENTRIES * PAGE
    async with node_of(media()) as node:
        async with volume_of(node, size=64 * leaf) as volume:
            for number in range(64):
                await volume.write(number * leaf, b"a" * PAGE)
            await volume.snapshot("s0")
            await checkpoint(volume)
            await volume.snapshot("s1")
            await volume.write(5 * leaf, b"b" * PAGE)
            await checkpoint(volume)
            await volume.snapshot("s2")
        read, pages = list[int](), Checkpoints.pages

        async def counted(self: Checkpoints, place: int, count: int) -> object:
            read.append(count)
            return await pages(self, place, count)

        with mock.patch.object(Checkpoints, "pages", counted):
            assert await changed(node, "s1", "s2", 0, 64 * leaf) == [Changed(5 * leaf, PAGE)]
        assert sum(read) == 4, "of each map a directory and a leaf"
