"""Space comes back: what is overwritten is dropped, and objects that are needed in part are emptied."""

from __future__ import annotations

from random import Random

from trio.testing import MockClock

from store.blocks.place import BLOCK_BYTES
from tests.blocks.conftest import MIB, media, node_of, volume_of
from tests.blocks.model_disk import ModelDisk, read
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits


def stored_bytes(node: SimNode) -> int:
    """What all blocks of data on the devices take."""
    return sum(len(list(device.merged_index.range(b"d", b"e", 1 << 30))) for device in node.devices.values())


async def test_random_overwriting_keeps_to_about_what_is_needed(autojump_clock: MockClock) -> None:
    random = Random(1)
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with volume_of(node, size=2 * MIB) as volume:
                model = ModelDisk(volume.size)
                blocks = volume.size // BLOCK_BYTES
                for _ in range(6 * blocks):
                    block, data = random.randrange(blocks), random.randbytes(BLOCK_BYTES)
                    model.write(block * BLOCK_BYTES, data)
                    await volume.write(block * BLOCK_BYTES, data)
                assert await read(volume) == model.data
                needed = sum(volume._map.map.objects.values())
                await volume.flush()
                await node.run_daemons()
                assert stored_bytes(node) / 3 < 2.5 * needed
            async with volume_of(node) as volume:
                assert await read(volume) == model.data
