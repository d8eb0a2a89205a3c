"""What a pass of the scrubber reads, how fast, and what it finds."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.device.block import BlockKey
from store.engine.device import Device
from store.objects.model import Policy
from store.objects.store import ObjectUpload
from tests.replicator.clusters import COPIES, HEAD, media_of, opened, write
from tests.simulation.limits import BLOCK_BYTES

CODE = (Policy(0, "code", k=2, m=1, codec="zfec", default=True),)
LARGE = Random(1).randbytes(4 * BLOCK_BYTES)


@pytest.mark.parametrize("policies", [COPIES, CODE], ids=["copies", "code"])
async def test_each_block_is_read_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, policies: tuple[Policy, ...]
) -> None:
    reads: Counter[tuple[int, BlockKey]] = Counter()
    verify = Device.verify_block

    async def count(self: Device, key: BlockKey) -> int:
        reads[self.id, key] += 1
        return await verify(self, key)

    monkeypatch.setattr(Device, "verify_block", count)
    async with opened(media_of(4, policies)) as (node, container):
        for number in range(8):
            await write(node.store, container, f"o{number}", LARGE)
        await trio.sleep(5)
        assert await node.replicator.scrubber.scrub(None) == 0
        assert set(reads.values()) == {1}
        assert len(reads) == 8 * 4 * 3


async def test_blocks_count_towards_the_bandwidth(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        began = trio.current_time()
        await node.replicator.scrubber.scrub(rate_bytes=1000.0)
        assert trio.current_time() - began > 3 * len(LARGE) / 1000


async def test_a_link_that_cannot_be_read_is_found_before_the_index_is_rebuilt(autojump_clock: MockClock) -> None:
    media = media_of(3)
    async with opened(media) as (node, container):
        await write(node.store, container, "o", LARGE)
        async with node.store.open(container, "o") as source, node.store.upload(container, "copy") as upload:
            assert isinstance(upload, ObjectUpload)
            assert source.data is not None
            assert await upload.reflink(source.data)
            await upload.commit(HEAD)
        await trio.sleep(5)
        device = node.devices[1]
        entry = device.blocks.find(BlockKey(upload._data.data_id, 1, 0))
        assert entry is not None
        assert entry.reference is not None
        media.disks[1].flip(device.segments.path(entry.reference.segment), entry.reference.offset + 60)
        assert await node.replicator.scrubber.scrub(None) == 1
        await trio.sleep(5)
        assert await node.replicator.scrubber.scrub(None) == 0
        now = device.blocks.find(BlockKey(upload._data.data_id, 1, 0))
        assert now is not None
        assert now.reference != entry.reference
