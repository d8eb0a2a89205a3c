"""The past of a volume: what it was at any time of its window."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.blocks.log_object import row_name
from store.blocks.opening import open_snapshot
from store.core.errors import ConflictError, InvalidError, NotFoundError
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read, request
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits
from tests.simulation.world import SimClock

MINUTE_US = 60_000_000


async def bytes_of(node: SimNode, volume: str, snapshot: str) -> bytes:
    container = await catalogue_of(node).find(volume)
    async with open_snapshot(node.store, container, snapshot) as disk:
        return await read(disk)


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_as_it_was_at_any_time(autojump_clock: MockClock, seed: int) -> None:
    random = Random(seed)
    with small_volume_limits():
        async with node_of(media(seed=seed)) as node:
            catalogue = catalogue_of(node)
            await catalogue.create("v", 2 * MIB, window_us=10 * MINUTE_US)
            model, was = ModelDisk(2 * MIB), {SimClock().wall_us(): bytes(2 * MIB)}
            for _ in range(2):
                async with volume_of(node) as volume:
                    for _ in range(25):
                        await trio.sleep(random.choice([0.1, 3, 7]))
                        for _ in range(3):
                            await request(volume, model, random, whole=True)
                        await trio.sleep(0.001)
                        was[SimClock().wall_us()] = bytes(model.data)
            async with volume_of(node) as volume:
                for number, time_us in enumerate(random.sample(sorted(was), 12)):
                    await volume.snapshot_at(f"s{number}", time_us)
                    assert await bytes_of(node, "v", f"s{number}") == was[time_us]
                assert await read(volume) == model.data
            await catalogue.clone("v", "s0", "c")
            async with volume_of(node, "c") as clone:
                assert await read(clone) == await bytes_of(node, "v", "s0")
            for name in ("v", "c"):
                await catalogue.delete(name)


async def test_what_is_not_known(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node, "without", size=MIB) as volume:
            await volume.write(0, b"a" * PAGE)
            with pytest.raises(InvalidError, match="without a window"):
                await volume.snapshot_at("s", SimClock().wall_us())
        await catalogue_of(node).create("v", MIB, window_us=MINUTE_US)
        async with volume_of(node, "v") as volume:
            with pytest.raises(InvalidError, match="still to come"):
                await volume.snapshot_at("s", SimClock().wall_us() + 1_000_000)
            start = SimClock().wall_us()
            for minute in range(5):
                await volume.write(0, bytes([minute]) * PAGE)
                await volume.flush()
                await volume.all_applied()
                await volume.checkpointer.store()
                await trio.sleep(60)
            with pytest.raises(InvalidError, match="reaches back"):
                await volume.snapshot_at("s", start)
            await volume.snapshot_at("s", SimClock().wall_us() - MINUTE_US)
            with pytest.raises(ConflictError):
                await volume.snapshot_at("s", SimClock().wall_us())


async def test_what_the_past_alone_needs_comes_back_behind_the_window(autojump_clock: MockClock) -> None:
    random = Random(1)
    with small_volume_limits():
        async with node_of(media(3)) as node:
            await catalogue_of(node).create("v", MIB, window_us=MINUTE_US)
            async with volume_of(node, "v") as volume:
                model = ModelDisk(MIB)
                for _ in range(300):
                    await request(volume, model, random, whole=True)
                written = volume.root.object
                await trio.sleep(120)
                for _ in range(2):
                    await volume.write(0, bytes(PAGE))
                    model.write(0, bytes(PAGE))
                    await volume.flush()
                    await volume.all_applied()
                    await volume.checkpointer.store()
                    await trio.sleep(61)
                for _ in range(60):
                    await request(volume, model, random, whole=True)
                await volume.flush()
                await volume.checkpointer.store()
                left = 0
                for number in range(1, written + 1):
                    with suppress(NotFoundError):
                        left += await volume.head._table.load(row_name(number)) is not None
                assert left < written / 2
                assert await read(volume) == model.data
