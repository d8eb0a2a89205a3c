"""Checkpoints, moves and the sweep: what is stored of a map, and what goes when nobody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import checkpointer, cleaner, opening, stored_map
from store.blocks.block_map import BlockMap, Missing
from store.blocks.checkpoint import CheckpointTable, checkpoint_name
from store.blocks.checkpoints import Checkpoints
from store.blocks.disk import OwnerReplacedError
from store.blocks.frame import Entry, Kind
from store.blocks.log_object import row_name
from store.blocks.log_reader import LogReader
from store.blocks.place import HOLE, pack
from store.blocks.stored_map import StoredMap
from store.blocks.volume import Volume
from store.core.errors import BusyError, DamageError, NotFoundError
from store.device.record import Buffer
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read, request
from tests.blocks.test_takeover import KilledError, killed
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits


async def names(volume: Volume, prefix: str) -> list[int]:
    return [int(name[1:], 16) for name in await volume.head._table.names(prefix)]


async def checkpoint(volume: Volume) -> int:
    """Store the map, with all that was written in it: which checkpoint that is."""
    await volume.flush()
    await volume.all_applied()
    assert volume.checkpointer is not None
    return (await volume.checkpointer.store()).checkpoint


async def test_a_volume_is_the_same_after_many_checkpoints(autojump_clock: MockClock) -> None:
    """Eight leaves of which one stays in memory; killed and opened anew every now and then."""
    random = Random(5)
    with small_volume_limits():
        async with node_of(media(3)) as node:
            model = ModelDisk(16 * MIB)
            last = 0
            for _ in range(5):
                async with killed(node) as volume:
                    for _ in range(40):
                        await request(volume, model, random, whole=True)
                    assert await read(volume) == model.data
                    root = volume.head.head.root
                    assert root.checkpoint > last
                    last = root.checkpoint
            async with volume_of(node) as volume:
                assert await read(volume) == model.data
                await checkpoint(volume)
                kept = await names(volume, "c")
                root = volume.head.head.root
                stored = await volume.checkpointer._checkpoints.table(root.depth, root.checkpoint)
                assert set(kept) == {key & 0xFFFFFFFF for key in stored.checkpoints} | {kept[-1]}
                sealed = [number for number in await names(volume, "l") if number < root.object]
                assert set(sealed) <= {key & 0xFFFFFFFF for key in stored.objects}  # the map may have more moves by now


async def test_what_was_discarded_is_not_there_after_a_checkpoint(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 64 * PAGE)
                await checkpoint(volume)
                await volume.discard(0, 64 * PAGE)
                await volume.write(5 * PAGE, b"b" * PAGE)
                await checkpoint(volume)
            async with volume_of(node) as volume:
                assert await read(volume, 0, 64 * PAGE) == bytes(5 * PAGE) + b"b" * PAGE + bytes(58 * PAGE)
                assert sum(volume._map.map.objects.values()) == 1


async def test_a_checkpoint_that_cannot_be_stored_is_stored_later(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                write = Checkpoints.write
                failures = [BusyError("not now")] * 3

                async def failing(*arguments: object) -> None:
                    if failures:
                        raise failures.pop()
                    await write(*arguments)  # type: ignore[arg-type]

                with mock.patch.object(Checkpoints, "write", failing):
                    number = await checkpoint(volume)
                assert not failures
                assert volume.head.head.root.checkpoint == number
            async with volume_of(node) as volume:
                assert await read(volume, 0, 8 * PAGE) == b"a" * 8 * PAGE


async def test_the_head_names_a_checkpoint_only_when_it_is_stored(autojump_clock: MockClock) -> None:
    """Killed at any moment between."""
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                await checkpoint(volume)
            for step in ("write", "_name"):
                owner = Checkpoints if step == "write" else checkpointer.Checkpointer
                async with killed(node) as volume:
                    await volume.write(8 * PAGE, b"b" * 8 * PAGE, durable=True)
                    with mock.patch.object(owner, step, side_effect=KilledError), pytest.raises(KilledError):
                        await checkpoint(volume)
                async with killed(node) as volume:
                    assert await read(volume, 0, 16 * PAGE) == b"a" * 8 * PAGE + b"b" * 8 * PAGE


async def test_a_checkpoint_that_nobody_names_is_swept(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                failing = mock.patch.object(checkpointer.Checkpointer, "_name", side_effect=KilledError)
                with failing, pytest.raises(KilledError):
                    await checkpoint(volume)
                assert await names(volume, "c") == [1]
            async with volume_of(node) as volume:
                await volume.write(0, b"b" * 8 * PAGE)
                number = await checkpoint(volume)
                assert number == 2
                assert await names(volume, "c") == [2]


async def test_what_could_not_be_dropped_is_dropped_in_the_next_life(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                with mock.patch.object(volume.head._table, "delete", side_effect=BusyError("not now")):
                    for at in range(4):
                        await volume.write(0, bytes([at + 1]) * 24 * PAGE)
                        await volume.flush()
                    await checkpoint(volume)
                assert 1 in await names(volume, "l")
            async with killed(node) as volume:
                await volume.write(0, b"z" * PAGE)
                await checkpoint(volume)
                assert 1 not in await names(volume, "l")
                assert await read(volume, 0, 2 * PAGE) == b"z" * PAGE + b"\4" * PAGE


async def test_the_sweep_keeps_what_the_log_behind_the_root_has(autojump_clock: MockClock) -> None:
    """Objects that are sealed and behind the root, of which the stored map needs nothing."""
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                write = Checkpoints.write

                async def written_meanwhile(*arguments: object) -> None:
                    for at in range(4):
                        await volume.write((at + 1) * 24 * PAGE, bytes([at + 1]) * 24 * PAGE, durable=True)
                    await write(*arguments)  # type: ignore[arg-type]

                with mock.patch.object(Checkpoints, "write", written_meanwhile):
                    await checkpoint(volume)
            async with volume_of(node) as volume:
                assert await read(volume, 0, 8 * PAGE) == b"a" * 8 * PAGE
                found = await read(volume, 24 * PAGE, 96 * PAGE)
                assert found == b"".join(bytes([at + 1]) * 24 * PAGE for at in range(4))


# -- moves ------------------------------------------------------------------------------------------------------------


async def place_of(volume: Volume, block: int) -> int:
    await volume.flush()
    await volume.all_applied()
    await volume._map.ensure([(block, 1)])
    return volume._map.map.look(block, 1)[0].place


async def test_a_move_counts_only_where_the_block_is_still_where_it_was(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
            await volume.write(PAGE, b"b" * PAGE)
            moved, overwritten = await place_of(volume, 0), await place_of(volume, 1)
            await volume.write(PAGE, b"c" * PAGE)
            volume.append(Entry(Kind.MOVE, 0, 1, moved), b"a" * PAGE)
            frame = volume.append(Entry(Kind.MOVE, 1, 1, overwritten), b"b" * PAGE)
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"c" * PAGE
            await volume.moved(frame)
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"c" * PAGE
            assert await place_of(volume, 0) != moved
        async with volume_of(node) as volume:
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"c" * PAGE


async def test_what_is_written_behind_a_move_wins(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
            place = await place_of(volume, 0)
            volume.append(Entry(Kind.MOVE, 0, 1, place), b"a" * PAGE)
            await volume.write(0, b"b" * PAGE, durable=True)
            assert await read(volume, 0, PAGE) == b"b" * PAGE
        async with volume_of(node) as volume:
            assert await read(volume, 0, PAGE) == b"b" * PAGE


async def test_reading_what_is_moved_and_dropped_meanwhile(autojump_clock: MockClock) -> None:
    """The map was looked at; then the object is emptied, and dropped, and then it is read."""
    with small_volume_limits():
        async with node_of(media(3)) as node, volume_of(node) as volume:
            await volume.write(0, b"a" * 4 * PAGE)
            place = await place_of(volume, 0)
            reads = LogReader.read
            waiting = trio.Event()

            async def late(self: LogReader, where: int, pages: int) -> list[Buffer]:
                if where == place:
                    await waiting.wait()
                return await reads(self, where, pages)

            async def read_now() -> None:
                found.append(await read(volume, 0, 4 * PAGE))

            found: list[bytes] = []
            with mock.patch.object(LogReader, "read", late):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(read_now)
                    await trio.sleep(0.1)
                    frame = volume.append(Entry(Kind.MOVE, 0, 4, place), b"a" * 4 * PAGE)
                    await volume.moved(frame)
                    for at in range(1, 6):
                        await volume.write(24 * PAGE, bytes([at]) * 24 * PAGE)
                    await checkpoint(volume)
                    assert await volume.head._table.load(row_name(1)) is None
                    await node.run_daemons()
                    waiting.set()
            assert found == [b"a" * 4 * PAGE]


async def test_an_object_of_which_little_is_needed_is_emptied(autojump_clock: MockClock) -> None:
    with small_volume_limits(), mock.patch.object(cleaner, "DEAD_PAGES_MIN", 8):
        async with node_of(media(3)) as node, volume_of(node) as volume:
            await volume.write(0, b"a" * 24 * PAGE)
            await volume.write(4 * PAGE, b"b" * 20 * PAGE)
            await volume.flush()
            for at in range(3):
                await volume.write((30 + at) * PAGE, b"c" * PAGE, durable=True)
                await checkpoint(volume)
                await trio.sleep(10)
            assert 1 not in await names(volume, "l")
            assert await read(volume, 0, 24 * PAGE) == b"a" * 4 * PAGE + b"b" * 20 * PAGE


# -- pages of the map -------------------------------------------------------------------------------------------------


async def test_a_page_that_was_stored_elsewhere_while_it_was_loaded_is_not_taken_in(autojump_clock: MockClock) -> None:
    await _load_late(gone=False)


async def test_a_page_whose_checkpoint_went_while_it_was_loaded_is_looked_for_again(autojump_clock: MockClock) -> None:
    await _load_late(gone=True)


async def _load_late(*, gone: bool) -> None:
    """A leaf is asked for where checkpoint 2 has it. Until that is answered it was changed, stored in another, and has
    left memory."""
    map_ = BlockMap()
    map_.put(0, 5, pack(0, 7, 1))
    map_.put(600, 5, pack(0, 7, 11))
    first = map_.freeze(0, 2)
    map_.stored()
    pages = {pack(0, 2, number): page.tobytes() for number, page in enumerate(first.pages, 1)}
    late = trio.Event()
    asked: list[int] = []

    class Slow:
        async def page(self, missing: Missing) -> bytes:
            asked.append(missing.place)
            if not missing.directory and asked.count(missing.place) == 1 and missing.place == pack(0, 2, 1):
                await late.wait()
                if gone:
                    raise NotFoundError("the checkpoint is gone")
                return bytes(pages[missing.place])
            return pages[missing.place]

        async def close_unused(self) -> None:
            """None is open."""

    stored = StoredMap(map_, Slow(), 100)  # type: ignore[arg-type]
    map_.evict(0)

    async def look() -> None:
        await stored.ensure([(0, 5)])
        found.append([run.place for run in map_.look(0, 5)])

    found: list[Sequence[int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await trio.testing.wait_all_tasks_blocked()
        for missing in map_.missing(0, 5):
            map_.loaded(missing, pages[missing.place])
        map_.put(0, 5, pack(0, 9, 1))
        again = map_.freeze(0, 3)
        map_.stored()
        pages.update({pack(0, 3, number): page.tobytes() for number, page in enumerate(again.pages, 1)})
        map_.evict(0)
        if not gone:  # the directory is there again, and says where the leaf is now
            for missing in map_.missing(0, 5):
                map_.loaded(missing, pages[missing.place])
        late.set()
    assert found == [[pack(0, 9, 1)]]


@pytest.mark.parametrize("apart", [512, 512 * 512])
async def test_no_more_is_stored_anew_than_a_checkpoint_has_room_for(autojump_clock: MockClock, apart: int) -> None:
    """Leaves of one directory, or one of each."""
    map_ = BlockMap()
    for leaf in range(6):
        map_.put(leaf * apart, 1, pack(0, 7, 1 + leaf))
    stored = StoredMap(map_, None, 100)  # type: ignore[arg-type]  # all is in memory
    map_.freeze(0, 1)
    with mock.patch.object(stored_map, "TOUCHED_MAX", 5):
        assert map_.unstored_leaves == 6
        assert await stored.touch(lambda key: True, 100) == 0
        map_.stored()
        map_.put(0, 1, HOLE)
        await stored.touch(lambda key: True, 100)
        assert map_.unstored_leaves == 5
        map_.freeze(0, 2)
        map_.stored()
        while await stored.touch(lambda key: key == 1, 2):
            assert map_.unstored_leaves <= 2
            map_.freeze(0, 3)
            map_.stored()
    assert 1 not in map_.checkpoints


async def test_a_replaced_writer_names_no_checkpoint(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as old:
            await old.write(0, b"a" * PAGE, durable=True)
            await _take(node)
            before = await catalogue_of(node).head("v")
            with pytest.raises(OwnerReplacedError):
                await checkpoint(old)
        after = await catalogue_of(node).head("v")
        assert after == before
        async with volume_of(node) as volume:
            assert await read(volume, 0, PAGE) == b"b" * PAGE


async def _take(node: SimNode) -> None:
    async with volume_of(node) as new:
        await new.write(0, b"b" * PAGE)


async def test_a_writer_that_is_replaced_while_it_stores_names_nothing(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as old:
            await old.write(0, b"a" * PAGE, durable=True)
            write = Checkpoints.write

            async def replaced(self: Checkpoints, *arguments: object) -> None:
                await write(self, *arguments)  # type: ignore[arg-type]
                await _take(node)

            with mock.patch.object(Checkpoints, "write", replaced), pytest.raises(OwnerReplacedError):
                await checkpoint(old)
        assert (await catalogue_of(node).head("v")).root.checkpoint == 0
        async with volume_of(node) as volume:
            assert await read(volume, 0, PAGE) == b"b" * PAGE
            number = await checkpoint(volume)
            assert await names(volume, "c") == [number]
            assert checkpoint_name(number) > checkpoint_name(1)


async def test_checkpoints_that_are_hardly_needed_go(autojump_clock: MockClock) -> None:
    """Each checkpoint has a leaf that nobody changes again, and many that the next one has, too."""
    with small_volume_limits(), mock.patch.object(checkpointer, "MAP_PAGES_DEAD", 8):
        async with node_of(media(3)) as node:
            async with volume_of(node, size=256 * MIB) as volume:
                for cold in range(40):
                    for hot in range(4):
                        await volume.write(hot * 2 * MIB, bytes([cold]) * PAGE)
                    await volume.write((10 + cold) * 2 * MIB, bytes([cold]) * PAGE)
                    await volume.flush()
                    await volume.all_applied()
                    await volume.checkpointer.store()
                assert sum(volume.checkpointer._stored.values()) < 120
                assert len(await names(volume, "c")) < 25
            async with volume_of(node) as volume:
                for cold in range(40):
                    assert await read(volume, (10 + cold) * 2 * MIB, PAGE) == bytes([cold]) * PAGE


async def test_who_opens_it_while_another_does_hears_that_and_not_that_there_is_none(autojump_clock: MockClock) -> None:
    """What the head named is swept by the other before it is read."""
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                await checkpoint(volume)
            table = Checkpoints.table
            patch = mock.patch.object(Checkpoints, "table", autospec=True)

            async def late(self: Checkpoints, depth: int, number: int) -> CheckpointTable:
                patch.stop()
                async with killed(node) as other:
                    await other.write(0, b"b" * 8 * PAGE)
                    await checkpoint(other)
                    await checkpoint(other)
                return await table(self, depth, number)

            patch.start().side_effect = late
            with pytest.raises(OwnerReplacedError):
                async with volume_of(node):
                    raise AssertionError
            async with volume_of(node) as volume:
                assert await read(volume, 0, 8 * PAGE) == b"b" * 8 * PAGE


async def test_a_checkpoint_that_is_gone_is_damage(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 8 * PAGE)
                await volume.head._table.delete(checkpoint_name(await checkpoint(volume)))
            with pytest.raises(DamageError):
                async with volume_of(node):
                    raise AssertionError


async def test_many_openings_leave_few_objects(autojump_clock: MockClock) -> None:
    with mock.patch.object(opening, "OBJECTS_BEHIND", 4):
        async with node_of(media(3)) as node:
            for _ in range(20):
                async with volume_of(node) as volume:
                    await trio.sleep(1)
            async with volume_of(node) as volume:
                assert len(await names(volume, "l")) < 12
