"""Data whose blocks have each their own length, as a volume's log objects: left alone by every daemon while they are
open, and treated like any data when they are sealed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import RetryableError
from store.core.stamp import ZERO
from store.device.block import BlockKey
from store.device.port import DevicePort
from store.device.row import Flag, Row, RowKey
from store.objects.model import Container, ListingQuery, ObjectEntry, ObjectHead
from store.objects.placement import data_ring_hash
from store.objects.rowcodec import DataLocation, encode_object
from store.objects.store import OpenRow
from store.replicator.drop import Drop
from store.replicator.hints import Hints, _Data
from store.replicator.move import Moved
from store.replicator.rejoin import Rejoiner
from store.replicator.restore import Restorer, seal_block
from tests.replicator.clusters import close, key_of, media_of, opened, replicas_of, stamps_of
from tests.simulation.node import SimMedia, SimNode

PAGE = 4096
LENGTHS = (2, 1, 5, 3)
REPAIRED = 60.0
ETAG = "00112233445566778899aabbccddeeff"
HEAD = ObjectHead("t", {"mark": "m"})


class Frames:
    """Some data that come block by block, and their row."""

    def __init__(self, node: SimNode, container: Container, name: str = "frames") -> None:
        self.node = node
        self.name = name
        self.key, self.packed = key_of(node, container, name)
        self.data_id = Random(name).randbytes(16)
        ring = node.store.rows.ring
        self.homes = ring.write_sets(3, data_ring_hash(ring, self.data_id))[-1]
        self.blocks = [Random(number).randbytes(units * PAGE) for number, units in enumerate(LENGTHS)]
        self.data = b"".join(self.blocks)

    async def write(self, homes: Sequence[int] | None = None, blocks: Sequence[int] = range(len(LENGTHS))) -> None:
        """Have blocks at some homes, durably."""
        for number in self.homes if homes is None else homes:
            for block in blocks:
                await self.put(number, block, self.blocks[block])

    async def put(self, number: int, block: int, data: bytes) -> None:
        device, key = self.node.devices[number], BlockKey(self.data_id, block, 0)
        lost = device.data_losses
        await device.write_block(key, seal_block(key, self.key, data))
        await device.sync_data(lost)

    async def say(self, lengths: tuple[int, ...]) -> None:
        """Have a row that says these lengths: none is open."""
        location = DataLocation(PAGE, 0, 0, "", self.homes, lengths)
        summary, detail = encode_object(ETAG, HEAD, None, location)
        size = PAGE * sum(lengths)
        row = Row(self.key, ZERO, Flag.DATA, 0, size, 0, self.data_id, summary, detail, b"")
        async with self.node.store.rows.lock(self.packed):
            await self.node.store.rows.put(row, self.packed)

    async def open(self) -> None:
        await self.say(())

    async def seal(self) -> None:
        await self.say(LENGTHS)

    async def location(self) -> DataLocation:
        found = await self.node.store.rows.read(self.key, self.packed)
        assert found is not None
        location = Restorer.data_location(found.row)
        assert location is not None
        return location

    async def at(self, number: int) -> dict[int, bytes]:
        """The blocks that a device has."""
        device = self.node.devices[number]
        return {
            block: bytes(await device.read_block(BlockKey(self.data_id, block, 0)))
            for block, _ in await device.has_blocks(self.data_id)
        }

    @property
    def all(self) -> dict[int, bytes]:
        return dict(enumerate(self.blocks))

    async def lose(self, number: int) -> None:
        """Everything of these data at one device."""
        assert await Drop(self.node.store, self.data_id, [number]).wait()

    async def content(self, container: Container) -> bytes:
        async with self.node.store.open(container, self.name) as row:
            return b"".join([bytes(piece) async for piece in row.read()])


async def sealed(node: SimNode, container: Container, name: str = "frames") -> Frames:
    frames = Frames(node, container, name)
    await frames.open()
    await frames.write()
    await frames.seal()
    return frames


async def test_they_are_listed_and_read_as_objects(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await Frames(node, container, "open").open()
        frames = await sealed(node, container)
        entries = await node.store.list_objects(container, ListingQuery(10))
        assert [(each.name, each.size, each.etag) for each in entries if isinstance(each, ObjectEntry)] == [
            ("frames", len(frames.data), ETAG),
            ("open", 0, ETAG),
        ]
        assert await frames.content(container) == frames.data
        assert await Frames(node, container, "open").content(container) == b""
        async with node.store.open(container, "frames") as row:
            read = [bytes(piece) async for piece in row.read(2 * PAGE - 1, 3 * PAGE + 2)]
        assert b"".join(read) == frames.data[2 * PAGE - 1 : 3 * PAGE + 2]


async def test_a_copy_of_them_has_blocks_of_its_own(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        frames = await sealed(node, container)
        async with node.store.open(container, "frames") as source, node.store.upload(container, "copy") as upload:
            assert isinstance(source, OpenRow)
            assert source.data is not None
            assert not await upload.reflink(source.data)
            async for piece in source.read():
                await upload.write(piece)
            await upload.commit(HEAD)
        async with node.store.open(container, "copy") as copy:
            assert isinstance(copy, OpenRow)
            assert copy._data_location is not None
            assert copy._data_location.lengths is None
            assert b"".join([bytes(piece) async for piece in copy.read()]) == frames.data


async def test_a_change_of_headers_leaves_the_lengths(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        frames = await sealed(node, container)
        await node.store.update(container, "frames", lambda _info: ObjectHead("u", {}))
        assert (await frames.location()).lengths == LENGTHS
        assert await frames.content(container) == frames.data


@pytest.mark.parametrize("lost", [True, False], ids=["all of a home", "the last of a home"])
async def test_what_a_home_lacks_is_found_and_brought(autojump_clock: MockClock, lost: bool) -> None:
    async with opened(media_of(3)) as (node, container):
        frames = await sealed(node, container)
        await frames.lose(frames.homes[1])
        if not lost:
            await frames.write(frames.homes[1:2], range(3))
        assert await node.replicator.scrubber.scrub() == 1
        await trio.sleep(REPAIRED)
        assert await frames.at(frames.homes[1]) == frames.all
        assert await node.replicator.scrubber.scrub() == 0


async def test_a_damaged_block_is_found_and_mended(autojump_clock: MockClock) -> None:
    media = media_of(3)
    async with opened(media) as (node, container):
        frames = await sealed(node, container)
        for number, block in zip(frames.homes, (1, 3, 2), strict=True):
            device = node.devices[number]
            entry = device.blocks.find(BlockKey(frames.data_id, block, 0))
            assert entry is not None
            at = entry.location.offset + entry.payload_at + entry.payload_bytes - 1
            media.disks[number].flip(device.segments.path(entry.location.segment), at)
        assert await node.replicator.scrubber.scrub() == 1
        await trio.sleep(REPAIRED)
        for number in frames.homes:
            assert await frames.at(number) == frames.all


@pytest.mark.parametrize("block", range(len(LENGTHS)))
@pytest.mark.parametrize("more", [-1, PAGE])
async def test_a_block_of_another_length_than_its_row_says_is_damage(
    autojump_clock: MockClock, block: int, more: int
) -> None:
    """Also where it is longer: its front is not taken for the block."""
    async with opened(media_of(3)) as (node, container):
        frames = await sealed(node, container)
        bad = frames.homes[block % 3]  # that which is read first
        await frames.put(bad, block, b"?" * (LENGTHS[block] * PAGE + more))
        assert await node.replicator.scrubber.scrub() == 1
        await trio.sleep(REPAIRED)
        for number in frames.homes:
            assert await frames.at(number) == frames.all


async def test_blocks_behind_the_last_that_was_sealed_are_no_matter(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        frames = await sealed(node, container)
        await frames.put(frames.homes[0], len(LENGTHS), b"x" * PAGE)
        assert await node.replicator.scrubber.scrub() == 0
        await frames.lose(frames.homes[1])
        assert await node.replicator.scrubber.scrub() == 1
        await trio.sleep(REPAIRED)
        assert await frames.at(frames.homes[1]) == frames.all
        assert await frames.content(container) == frames.data


async def test_they_are_moved_with_their_lengths(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = await sealed(node, container)
        old = frames.homes[0]
        node.media.change_ring(lambda builder: builder.set_weight(old, 0.0))
        await node.follow_ring()
        await node.run_daemons()
        location = await frames.location()
        assert old not in location.devices
        assert location.lengths == LENGTHS
        for number in location.devices:
            assert await frames.at(number) == frames.all
        assert not await frames.at(old)
        assert len(node.store.rows.ring.live) == 1
        assert await frames.content(container) == frames.data


async def test_old_copies_stay_while_a_new_one_lacks_a_block_however_many_it_has_behind_the_last(
    autojump_clock: MockClock,
) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = await sealed(node, container)
        before = await frames.location()
        other = next(number for number in node.devices if number not in frames.homes)
        await frames.write([other], (0, 1, 3))
        for block in (len(LENGTHS), len(LENGTHS) + 1):
            await frames.put(other, block, b"x" * PAGE)
        found = await node.store.rows.read(frames.key, frames.packed)
        assert found is not None
        wanted = before._replace(devices=(other, *before.devices[1:]))
        moved = Moved(frames.key, found.row, before, wanted)
        with pytest.raises(RetryableError, match="has not all of object"):
            await node.replicator.rebalancer._mover.drop_old(*moved)
        assert await frames.at(before.devices[0]) == frames.all
        await frames.write([other], (2,))
        await trio.sleep(REPAIRED)  # who was told of it has it pinned
        await node.replicator.rebalancer._mover.drop_old(*moved)
        assert not await frames.at(before.devices[0])


async def test_what_is_open_is_neither_brought_nor_missed_nor_dropped_before_it_is_sealed(
    autojump_clock: MockClock,
) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        stranger = next(number for number in node.devices if number not in frames.homes)
        await frames.write(frames.homes[:2])
        await frames.write([stranger], (1,))
        node.devices[replicas_of(node, container, "frames")[0]].note_in_doubt(frames.packed)
        assert await node.replicator.scrubber.scrub() == 0
        assert await node.replicator.in_doubt.resolve_all() is not None
        node.replicator.repairer.add(frames.key)
        await trio.sleep(REPAIRED)
        await node.run_daemons()
        assert [await frames.at(number) for number in frames.homes] == [frames.all, frames.all, {}]
        assert await frames.at(stranger) == {1: frames.blocks[1]}
        await frames.seal()
        for device in node.devices.values():
            assert await device.garbage(b"", 10) == []
        await node.run_daemons()
        assert [await frames.at(number) for number in frames.homes] == [frames.all] * 3
        assert await frames.at(stranger) == {}
        assert await frames.content(container) == frames.data


async def test_what_is_open_is_moved_when_it_is_sealed_and_what_is_to_go_stays_until_then(
    autojump_clock: MockClock,
) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        await frames.write()
        old = frames.homes[0]
        node.media.change_ring(lambda builder: builder.remove(old))
        await node.follow_ring()
        await trio.sleep(600)
        await node.run_daemons()
        assert await node.replicator.rebalancer._mover.move(frames.key, frames.packed) is None
        assert (await frames.location()).devices == frames.homes
        assert [await frames.at(number) for number in frames.homes] == [frames.all] * 3
        assert len(node.store.rows.ring.live) == 2
        await frames.seal()
        await trio.sleep(4000)
        location = await frames.location()
        assert old not in location.devices
        for number in location.devices:
            assert await frames.at(number) == frames.all
        assert not await frames.at(old)
        assert len(node.store.rows.ring.live) == 1


async def test_a_hint_of_open_data_is_done_with_and_one_of_sealed_data_brings_them(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        await frames.write(frames.homes[:2])
        lacking, replicas = frames.homes[2], replicas_of(node, container, "frames")
        node.store.rows.missed(frames.packed, [lacking], replicas)
        await node.replicator.hints.replay()
        assert await node.replicator.hints.waiting() == {}
        assert not await frames.at(lacking)
        await frames.seal()
        node.store.rows.missed(frames.packed, [lacking], replicas)
        await node.replicator.hints.replay()
        assert await frames.at(lacking) == frames.all
        assert await node.replicator.hints.waiting() == {}


async def test_data_that_are_sealed_while_a_hint_is_followed_are_brought(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring = Hints._bring_data
    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        await frames.write(frames.homes[:2])

        async def meanwhile(self: Hints, target: DevicePort, data: _Data) -> None:
            if (await frames.location()).is_open:
                await frames.seal()
            await bring(self, target, data)

        monkeypatch.setattr(Hints, "_bring_data", meanwhile)
        node.store.rows.missed(frames.packed, frames.homes[2:], replicas_of(node, container, "frames"))
        await trio.sleep(REPAIRED)
        assert await frames.at(frames.homes[2]) == frames.all


async def test_no_hint_is_left_for_a_home_that_is_out_before_they_are_sealed(autojump_clock: MockClock) -> None:
    async with opened(media_of(5)) as (node, container):
        for number in range(100):
            frames = Frames(node, container, f"frames{number}")
            others = set(frames.homes) - set(replicas_of(node, container, frames.name))
            if others:
                break
        out = others.pop()
        await frames.open()
        await trio.sleep(5)
        node.take_away(out)
        node.replicator.repairer.add(frames.key)
        await trio.sleep(REPAIRED)
        assert out not in await node.replicator.hints.waiting()
        await frames.write([number for number in frames.homes if number != out])
        await frames.seal()
        node.replicator.repairer.add(frames.key)
        await trio.sleep(REPAIRED)
        assert out in await node.replicator.hints.waiting()
        await node.bring_back(out)
        await trio.sleep(REPAIRED)
        assert await frames.at(out) == frames.all


async def test_a_replica_that_missed_the_seal_gets_it(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        await frames.write(frames.homes[:2])
        late = replicas_of(node, container, "frames")[0]
        node.take_away(late)
        await frames.seal()
        await node.bring_back(late)
        await trio.sleep(60)
        await node.run_daemons()
        assert len(set(await stamps_of(node, container, "frames"))) == 1
        assert [await frames.at(number) for number in frames.homes] == [frames.all] * 3


async def test_data_that_are_sealed_while_a_device_rejoins_are_brought_to_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_replica = Rejoiner._first_replica

    async with opened(media_of(4)) as (node, container):
        frames = Frames(node, container)
        await frames.open()
        await frames.write(frames.homes[:2])

        async def meanwhile(self: Rejoiner, key: RowKey, packed: bytes) -> DevicePort | None:
            if key == frames.key and (await frames.location()).is_open:
                await frames.seal()
            return await first_replica(self, key, packed)

        monkeypatch.setattr(Rejoiner, "_first_replica", meanwhile)
        await node.store.devices[frames.homes[2]].set_in_sync(in_sync=False)
        node.replicator.rejoiner.wake()
        await trio.sleep(600)
        assert node.store.devices[frames.homes[2]].in_sync
        assert await frames.at(frames.homes[2]) == frames.all


async def test_what_was_sealed_is_as_it_was_after_a_crash(autojump_clock: MockClock) -> None:
    """A replay makes no garbage of what the version before named, too."""
    media: SimMedia = media_of(3)
    async with opened(media) as (node, container):
        frames = await sealed(node, container)
    media.lose_power()
    async with opened(media) as (node, container):
        again = Frames(node, container)
        for device in node.devices.values():
            assert await device.garbage(b"", 10) == []
        await node.run_daemons()
        assert [await again.at(number) for number in frames.homes] == [frames.all] * 3
        await close(node)
