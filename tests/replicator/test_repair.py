"""The repairer: what it is told is not forgotten, whatever it is doing at that moment."""

from __future__ import annotations

from contextlib import nullcontext
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, FullError
from store.device.row import RowKey, index_key
from store.objects.model import ObjectHead, Policy
from store.objects.store import ObjectUpload
from store.replicator.repair import RETRY_SECONDS
from store.replicator.restore import Restorer
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, open_node

HEAD = ObjectHead("t", {"mark": "m"})


async def test_a_version_that_comes_while_the_one_before_is_repaired_is_repaired_too(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Restorer.whole
    begun, may_end = trio.Event(), trio.Event()

    async def slow(self: Restorer, key: RowKey) -> int:
        written = await whole(self, key)
        begun.set()
        await may_end.wait()
        return written

    with small_limits():
        async with open_node(SimMedia(Random(1), 3, (Policy(0, "copies", default=True),)), CrashPoint()) as node:
            await node.store.put_account("a", {})
            container, _ = await node.store.put_container("a", "c", {})
            key = node.store.rows.key(container.id, container.shards, b"o")
            monkeypatch.setattr(Restorer, "whole", slow)

            async def write(missing: int | None) -> bytes:
                async with node.store.upload(container, "o") as upload:
                    assert isinstance(upload, ObjectUpload)
                    await upload.write(bytes(BLOCK_BYTES))
                    if missing is not None:
                        upload._data._failures[missing] = OSError("not there for once")
                    await upload.write(bytes(2 * BLOCK_BYTES))
                    await upload.commit(HEAD)
                    return upload._data.data_id

            await write(None)
            node.replicator.repairer.add(key)
            await begun.wait()
            data_id = await write(2)
            assert len(await node.devices[2].has_blocks(data_id)) < 3
            may_end.set()
            await trio.sleep(60)
            assert len(await node.devices[2].has_blocks(data_id)) == 3


@pytest.mark.parametrize("trouble", ["out", "full"])
async def test_one_device_in_trouble_does_not_keep_others_from_repair(autojump_clock: MockClock, trouble: str) -> None:
    """Two of three devices have lost row and blocks, and one of these is in trouble, whichever comes first."""
    for sick in range(2):
        media = SimMedia(Random(1), 3, (Policy(0, "copies", default=True),))
        with small_limits():
            async with open_node(media, CrashPoint()) as node:
                await node.store.put_account("a", {})
                container, _ = await node.store.put_container("a", "c", {})
                async with node.store.upload(container, "o") as upload:
                    assert isinstance(upload, ObjectUpload)
                    await upload.write(bytes(3 * BLOCK_BYTES))
                    await upload.commit(HEAD)
                await trio.sleep(3)
                key, data_id = upload._key, upload._data.data_id
                ill, other = node.devices[sick], node.devices[1 - sick]
                for device in (ill, other):
                    for packed, entry in device.blocks.of(data_id):
                        device.blocks.drop(packed, entry)
                    row = await device.find_row(index_key(key))
                    assert row is not None
                    device.forget_row(index_key(key), row.stamp)
                if trouble == "out":
                    ill._fail(DeviceError("no sync"))
                    await trio.sleep(1)
                else:
                    ill._options.reserve_bytes = 1 << 50
                    ill.room.look()
                with pytest.raises(FullError) if trouble == "full" else nullcontext():
                    await node.replicator.restorer.whole(key)
                assert len(await other.has_blocks(data_id)) == 3
                assert await other.find_row(index_key(key)) is not None


async def test_what_cannot_be_repaired_is_tried_again_after_longer_and_longer(autojump_clock: MockClock) -> None:
    """Its own reading finds it bad again, and so does everybody else's."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, (Policy(0, "copies", default=True),)), CrashPoint()) as node:
            await node.store.put_account("a", {})
            container, _ = await node.store.put_container("a", "c", {})
            async with node.store.upload(container, "o") as upload:
                assert isinstance(upload, ObjectUpload)
                await upload.write(bytes(3 * BLOCK_BYTES))
                await upload.commit(HEAD)
            await trio.sleep(3)
            full = node.devices[1]
            for packed, entry in full.blocks.of(upload._data.data_id):
                full.blocks.drop(packed, entry)
            full._options.reserve_bytes = 1 << 50
            full.room.look()
            begun = trio.current_time()
            while trio.current_time() < begun + 20 * RETRY_SECONDS:
                async with node.store.open(container, "o") as opened:
                    assert sum([len(piece) async for piece in opened.read()]) == 3 * BLOCK_BYTES
                await trio.sleep(1)
            progress = node.replicator.repairer._daemon.progress
            assert progress.failed == 5  # at once, then 1, 3, 7 and 15 times so long after
            assert progress.left == 1


async def test_what_could_not_be_repaired_is_tried_again_when_a_device_is_back(autojump_clock: MockClock) -> None:
    """Those that have the other copies are away, for so long that the next try would be a quarter of an hour off."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, (Policy(0, "copies", default=True),)), CrashPoint()) as node:
            await node.store.put_account("a", {})
            container, _ = await node.store.put_container("a", "c", {})
            async with node.store.upload(container, "o") as upload:
                assert isinstance(upload, ObjectUpload)
                await upload.write(bytes(3 * BLOCK_BYTES))
                await upload.commit(HEAD)
            await trio.sleep(3)
            data_id, lacking = upload._data.data_id, node.devices[1]
            for number in (0, 2):
                node.take_away(number)
            for packed, entry in lacking.blocks.of(data_id):
                lacking.blocks.drop(packed, entry)
            node.replicator.repairer.add(upload._key)
            await trio.sleep(16 * RETRY_SECONDS)
            assert node.replicator.repairer._daemon.progress.failed == 5
            for number in (0, 2):
                assert await node.bring_back(number)
            await trio.sleep(5)
            assert len(await lacking.has_blocks(data_id)) == 3
            assert node.replicator.repairer._daemon.progress.left == 0
