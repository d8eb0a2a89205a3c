"""What a snapshot takes does not depend on how much of the map has changed: the log behind the last checkpoint is
counted in. What is made of it is right all the same, and what it needs is kept."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import appender, checkpointer, opening
from store.blocks import volume as volume_module
from store.blocks.checkpoints import Checkpoints
from store.blocks.disk import OwnerReplacedError
from store.blocks.page_table import PAGE_ENTRIES
from store.blocks.volume import LEAVES_A_FRAME, Volume
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read, request
from tests.blocks.test_checkpointing import checkpoint, names
from tests.blocks.test_snapshots import snapshot_bytes
from tests.blocks.test_takeover import killed
from tests.simulation.volume_workload import small_volume_limits

LEAF = PAGE_ENTRIES * PAGE
LEAVES = 8
SIZE = LEAVES * LEAF


async def touch_leaves(volume: Volume, model: ModelDisk, count: int, seed: int) -> None:
    """Change so many leaves of the map."""
    for leaf in range(count):
        data = bytes([seed + leaf]) * PAGE
        await volume.write(leaf * LEAF + seed * PAGE, data)
        model.write(leaf * LEAF + seed * PAGE, data)
    await volume.flush()
    await volume.all_applied()


async def test_much_that_has_changed_is_counted_in_and_little_is_stored(autojump_clock: MockClock) -> None:
    with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", 3):
        async with node_of(media()) as node:
            model, kept = ModelDisk(SIZE), {}
            async with volume_of(node, size=SIZE) as volume:
                for seed, leaves in enumerate((3, 4, 2, LEAVES), 1):
                    await touch_leaves(volume, model, leaves, seed)
                    before = volume.head.head.root
                    made = await volume.snapshot(f"s{seed}")
                    kept[f"s{seed}"] = bytes(model.data)
                    assert made.root is not None
                    stored = leaves <= 3 and seed == 1
                    assert (made.root.behind is None) == stored
                    assert (volume.head.head.root == before) == (not stored)
                    await volume.write(0, b"behind the snapshot".ljust(PAGE))
                    model.write(0, b"behind the snapshot".ljust(PAGE))
                for name, data in kept.items():
                    assert await snapshot_bytes(node, "v", name) == data
                await checkpoint(volume)
            for name, data in kept.items():
                assert await snapshot_bytes(node, "v", name) == data


async def test_a_snapshot_does_not_wait_for_a_checkpoint(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        model = ModelDisk(SIZE)
        async with volume_of(node, size=SIZE) as volume, trio.open_nursery() as nursery:
            await touch_leaves(volume, model, 2, 1)
            go_on, write = trio.Event(), Checkpoints.write

            async def slow(*arguments: object) -> None:
                await go_on.wait()
                await write(*arguments)  # type: ignore[arg-type]

            with mock.patch.object(Checkpoints, "write", slow):
                nursery.start_soon(volume.checkpointer.store)
                await trio.testing.wait_all_tasks_blocked()
                await touch_leaves(volume, model, 2, 3)
                made = await volume.snapshot("s")
                at_snapshot = bytes(model.data)
                assert made.root is not None
                assert made.root.behind is not None
                await touch_leaves(volume, model, 2, 5)
                go_on.set()
            await checkpoint(volume)
            assert await snapshot_bytes(node, "v", "s") == at_snapshot
            assert await read(volume) == model.data


async def test_who_was_replaced_makes_none_though_nothing_has_to_be_written_for_it(autojump_clock: MockClock) -> None:
    """All is sealed, and in the log behind a checkpoint that is not the head's any more."""
    with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", 0):
        async with node_of(media()) as node:
            model = ModelDisk(SIZE)
            with suppress(OwnerReplacedError):
                async with volume_of(node, size=SIZE) as old:
                    await touch_leaves(old, model, 3, 1)
                    await old.roll()
                    async with volume_of(node) as new:
                        await touch_leaves(new, model, 3, 4)
                        await checkpoint(new)
                        with pytest.raises(OwnerReplacedError):
                            await old.snapshot("s")
                        assert old.failed is not None
                        assert await catalogue_of(node).snapshots("v") == {}
                        await new.snapshot("s")
                        assert await snapshot_bytes(node, "v", "s") == model.data


async def test_a_clone_of_it_lasts_whatever_becomes_of_the_log(autojump_clock: MockClock) -> None:
    """The volume is overwritten, cleaned and swept; the clone is killed before it has stored anything, and opened anew,
    and cloned itself."""
    random = Random(4)
    with small_volume_limits(), mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", 0):
        async with node_of(media()) as node:
            parent = ModelDisk(4 * MIB)
            async with volume_of(node, size=4 * MIB) as volume:
                for _ in range(50):
                    await request(volume, parent, random, whole=True)
                made = await volume.snapshot("s")
                assert made.root is not None
                assert made.root.behind is not None
                await catalogue_of(node).clone("v", "s", "c")
                child = ModelDisk(4 * MIB)
                child.write(0, bytes(parent.data))
                for _ in range(120):
                    await request(volume, parent, random, whole=True)
                await checkpoint(volume)
                assert await read(volume) == parent.data
            for _ in range(3):
                async with killed(node, "c") as clone:
                    assert await read(clone) == child.data
                    await clone.write(0, b"only here".ljust(PAGE))
                    child.write(0, b"only here".ljust(PAGE))
                    await clone.flush()
            async with volume_of(node, "c") as clone:
                again = await clone.snapshot("s")
                assert again.root is not None
                assert again.root.depth == 1
                await catalogue_of(node).clone("c", "s", "d")
            for name in ("v", "c"):
                await catalogue_of(node).delete(name)
            async with volume_of(node, "d") as last:
                assert await read(last) == child.data


async def test_what_is_written_while_it_is_made_is_not_in_it(autojump_clock: MockClock) -> None:
    """Though it is in an object that it names."""
    with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", 0):
        async with node_of(media()) as node, volume_of(node, size=SIZE) as volume:
            model = ModelDisk(SIZE)
            await touch_leaves(volume, model, 2, 1)
            roll = volume.roll

            async def slowly() -> None:
                await volume.write(0, b"meanwhile".ljust(PAGE), durable=True)
                await roll()

            with mock.patch.object(volume, "roll", slowly):
                await volume.snapshot("s")
            assert await snapshot_bytes(node, "v", "s") == model.data


async def test_no_more_leaves_change_than_whoever_opens_the_volume_has_room_for(autojump_clock: MockClock) -> None:
    """While a checkpoint cannot be stored: those that it has count, too."""
    async with node_of(media()) as node:
        model = ModelDisk(SIZE)
        with (
            mock.patch.object(volume_module, "LEAVES_DIRTY_MAX", LEAVES_A_FRAME + 3),
            mock.patch.object(checkpointer, "LEAVES_DIRTY_MAX", 6),
        ):
            async with volume_of(node, size=SIZE) as volume, trio.open_nursery() as nursery:
                await touch_leaves(volume, model, 2, 1)
                go_on, write = trio.Event(), Checkpoints.write

                async def slow(*arguments: object) -> None:
                    await go_on.wait()
                    await write(*arguments)  # type: ignore[arg-type]

                with mock.patch.object(Checkpoints, "write", slow):
                    nursery.start_soon(volume.checkpointer.store)
                    await trio.testing.wait_all_tasks_blocked()
                    for leaf in range(2, LEAVES):
                        await volume.write(leaf * LEAF, b"late".ljust(PAGE), durable=True)
                        model.write(leaf * LEAF, b"late".ljust(PAGE))
                    await trio.sleep(10)
                    assert volume._map.map.dirty_leaves == 1
                    assert await read(volume) == model.data
                    go_on.set()
                    await volume.all_applied()
            async with volume_of(node) as volume:
                assert await read(volume) == model.data


async def test_more_leaves_behind_a_snapshot_than_a_checkpoint_has_room_for(autojump_clock: MockClock) -> None:
    """A clone of it stores them in parts, and counts these."""
    async with node_of(media()) as node:
        model = ModelDisk(SIZE)
        with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", 0):
            async with volume_of(node, size=SIZE) as volume:
                await touch_leaves(volume, model, LEAVES, 1)
                await volume.snapshot("s")
        await catalogue_of(node).clone("v", "s", "c")
        with mock.patch.object(opening, "LEAVES_DIRTY_MAX", LEAVES_A_FRAME + 3):
            async with volume_of(node, "c") as clone:
                assert clone._map.map.dirty_leaves <= 3
                parts = await names(clone, "c")
                assert len(parts) == 2
                assert set(clone.checkpointer._stored) == set(parts)
                assert await read(clone) == model.data


async def test_more_leaves_behind_the_map_than_a_checkpoint_has_room_for(autojump_clock: MockClock) -> None:
    """Whoever opens the volume stores the map in parts."""
    async with node_of(media()) as node:
        model = ModelDisk(SIZE)
        assert SIZE == 16 * MIB
        async with killed(node) as volume:
            for seed in range(1, 4):
                await touch_leaves(volume, model, LEAVES, seed)
        with mock.patch.object(opening, "LEAVES_DIRTY_MAX", LEAVES_A_FRAME + 3):
            async with volume_of(node) as volume:
                assert volume.head.head.next_checkpoint > 2
                assert volume.head.head.root.checkpoint == 0
                assert await read(volume) == model.data
                assert volume._map.map.dirty_leaves <= 3
                root = await checkpoint(volume)
        async with volume_of(node) as volume:
            assert volume.head.head.root.checkpoint == root
            assert await read(volume) == model.data


async def test_nothing_is_waited_for_but_what_has_to_happen(autojump_clock: MockClock) -> None:
    """No timer: of a volume that nobody writes, either."""
    with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", -1), mock.patch.object(appender, "TICK_SECONDS", 100.0):
        async with node_of(media()) as node:
            began = trio.current_time()
            async with volume_of(node, size=SIZE) as volume:
                for number in range(3):
                    await volume.write(0, bytes([number + 1]) * PAGE)
                    await volume.snapshot(f"s{number}")
            assert trio.current_time() - began < 50
