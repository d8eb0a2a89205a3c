"""Data that any process needs are dropped by none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import ReplacedError
from store.core.wait_group import WaitGroup
from store.device.block import BlockKey
from store.device.row import IndexRow, RowKey
from store.objects.pins import Need, PinHolder, Pins
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import DataLocation
from store.objects.store import OpenRow
from store.replicator.move import Mover
from store.replicator.restore import Restorer, seal_block
from tests.replicator.clusters import HEAD, key_of, media_of, opened, write
from tests.replicator.processes import second_process
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.object_checks import read_value

pytestmark = pytest.mark.own_devices("the second process is behind links")
LARGE = Random(1).randbytes(3 * BLOCK_BYTES + 1)
NAMES = [f"o{number}" for number in range(12)]


async def having(node: SimNode, data_id: bytes) -> list[int]:
    """The devices that have any of these data."""
    return [device.id for device in node.devices.values() if await device.has_blocks(data_id)]


class Asked:
    """Who has nothing pinned, and counts how often he is asked."""

    def __init__(self) -> None:
        self.questions: list[Sequence[bytes]] = []

    async def pinned(self, data_ids: Sequence[bytes], needs: Sequence[Need]) -> Collection[bytes]:
        self.questions.append(data_ids)
        return ()


async def test_what_one_process_reads_another_does_not_drop(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        async with second.store.open(container, "o") as row:
            assert isinstance(row, OpenRow)
            data_id = row._data_id
            await node.store.delete(container, "o")
            await trio.sleep(60)
            assert await having(node, data_id) == [0, 1, 2]
            assert b"".join([bytes(piece) async for piece in row.read()]) == LARGE
        await trio.sleep(600)
        assert await having(node, data_id) == []


async def test_what_one_process_writes_another_does_not_take_for_orphans(autojump_clock: MockClock) -> None:
    """Its intent may be at replicas of an old layout; here it is nowhere."""
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        key = key_of(node, container, "o")[0]
        block = BlockKey(b"s" * 16, 0, 0)
        device = node.devices[0]
        for need in (Need.USE, Need.END):
            await device.write_block(block, seal_block(block, key, b"data"))
            await device.sync_data(device.data_losses)
            with second.store.pins.holding(block.data_id, need):
                await node.replicator.scrubber.scrub()
                assert await having(node, block.data_id) == [0]
            await node.replicator.scrubber.scrub()
            assert await having(node, block.data_id) == []


async def test_a_member_that_does_not_answer_holds_drops_up_until_it_is_none(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        row = await node.store.rows.read(*key_of(node, container, "o"))
        assert row is not None
        await second.line.cut()
        await node.store.delete(container, "o")
        await trio.sleep(600)
        assert await having(node, row.row.data_id) == [0, 1, 2]
        second.members.clear()
        await trio.sleep(600)
        assert await having(node, row.row.data_id) == []


async def test_many_data_ids_are_asked_for_in_one_message(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        asked = Asked()

        async def others() -> Collection[PinHolder]:
            return [asked]

        async with trio.open_nursery() as nursery:
            for name in NAMES:
                nursery.start_soon(node.store.delete, container, name)
        node.store.pins.others = others
        assert await node.replicator.collector.collect_data() == 0
        assert len(asked.questions) <= 3  # rounds begin by themselves, too


async def test_nothing_is_waited_for_where_there_is_no_other_process() -> None:
    pins = Pins()
    pins.add(b"a")
    asking = pins.unpinned([b"a", b"b"])
    with pytest.raises(StopIteration) as answered:
        asking.send(None)
    assert answered.value.value == {b"b"}


async def test_each_need_is_counted_by_itself() -> None:
    pins = Pins()
    pins.add(b"a", Need.END)
    with pins.holding(b"a"), pins.holding(b"a"):
        pass
    assert await pins.unpinned([b"a"]) == {b"a"}
    assert await pins.unpinned([b"a"], (Need.USE, Need.END)) == set()
    pins.remove(b"a", Need.END)
    assert len(pins) == 0


@pytest.mark.parametrize("when", ["dropped before it asks", "being dropped when it asks"])
async def test_old_copies_stay_where_the_moved_ones_were_taken_for_orphans(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Another process, to which the new device belongs, looked at the row before it named the new copies."""
    copy, drop_old = Mover.copy, Mover.drop_old
    dropped: list[bytes] = []
    async with opened(media_of(4)) as (node, container), second_process(node) as second:

        async def drop(data_id: bytes) -> None:
            done = WaitGroup()
            done.add()
            node.devices[4].submit_drop(data_id, done.done)
            await done.wait()

        async def named(self: Mover, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
            if 4 in wanted.devices:
                dropped.append(row.data_id)
                if when == "dropped before it asks":
                    await drop(row.data_id)
                else:
                    second.store.pins.add(row.data_id, Need.DROP)
            await drop_old(self, key, row, before, wanted)

        async def copied(self: Mover, key: RowKey, row: IndexRow, before: DataLocation, wanted: DataLocation) -> None:
            await copy(self, key, row, before, wanted)
            assert self._store.pins.held([row.data_id])

        for name in NAMES:
            await write(node.store, container, name, LARGE)
        await trio.sleep(5)
        monkeypatch.setattr(Mover, "copy", copied)
        monkeypatch.setattr(Mover, "drop_old", named)
        node.media.change_ring(lambda builder: builder.add(1, 1, "m4", 1.0, "disk4"))
        await node.follow_ring()
        await trio.sleep(60)
        assert dropped
        for data_id in dropped:
            assert len(set(await having(node, data_id)) - {4}) >= 3
            if when != "dropped before it asks":
                await drop(data_id)
        await trio.sleep(60)
        for name in NAMES:
            assert await read_value(node.store, container, name) == ("m", LARGE)


async def test_repair_writes_no_blocks_of_data_that_were_dropped_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        key, _ = key_of(node, container, "o")
        newest = Restorer.newest
        found: list[IndexRow] = []

        async def slowly(self: Restorer, key: RowKey, packed: bytes) -> ReadRow | None:
            answer = await newest(self, key, packed)
            if not found and answer is not None:
                found.append(answer.row)
                await node.store.put(container, "o", b"new", HEAD)
                await trio.sleep(60)
                assert await having(node, answer.row.data_id) == []
            return answer

        monkeypatch.setattr(Restorer, "newest", slowly)
        with pytest.raises(ReplacedError):
            await node.replicator.restorer.whole(key)
        assert await having(node, found[0].data_id) == []
