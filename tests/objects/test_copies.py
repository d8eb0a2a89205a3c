"""Data on devices that do not keep pace: what is durable, and what a copy shares."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.worker import Done, Worker
from store.device.block import BlockKey, index_key
from store.engine.check import check_device
from store.objects.model import Container, ObjectHead, Policy
from store.objects.store import OpenRow
from store.replicator.restore import seal_block
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import read_value

POLICIES = (Policy(0, "copies", default=True), Policy(1, "code", k=4, m=2, codec="zfec"))
HEAD = ObjectHead("t", {"mark": "m"})
BLOCKS = 5
DATA = Random(0).randbytes(BLOCKS * BLOCK_BYTES)


class Held:
    """A worker that begins nothing before it is let go."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: list[tuple[Callable[[], object], Done]] | None = []

    def submit(self, job: Callable[[], object], done: Done) -> None:
        if self._waiting is None:
            self._worker.submit(job, done)
        else:
            self._waiting.append((job, done))

    def let_go(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        for job, done in waiting:
            self._worker.submit(job, done)

    def close(self) -> None:
        self._worker.close()


async def container_with_source(node: SimNode, policy: int = 0) -> Container:
    await node.store.put_account("a", {})
    container, _ = await node.store.put_container("a", "c", {}, policy)
    async with node.store.upload(container, "source") as upload:
        await upload.write(DATA)
        await upload.commit(HEAD)
    await trio.sleep(3)
    return container


async def test_a_device_that_answers_at_once_does_not_answer_for_the_others(autojump_clock: MockClock) -> None:
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, POLICIES[:1]), CrashPoint()) as node:
            container = await container_with_source(node)
            async with node.store.upload(container, "o") as upload:
                await upload.write(DATA)
                placement = upload._data.placement
                assert placement is not None
                quick, *slow = (node.devices[number] for number in placement.data_location.devices)
                await trio.sleep(1)
                await quick.sync_data(quick.data_losses)
                held = [Held(device._bulk._sync_worker) for device in slow]
                for device, worker in zip(slow, held, strict=True):
                    device._bulk._sync_worker = worker
                with trio.move_on_after(5) as waiting:
                    await upload.digest()
                assert waiting.cancelled_caught, "one device of three was asked"
                held[0].let_go()
                await upload.commit(HEAD)
                held[1].let_go()
            assert await read_value(node.store, container, "o") == ("m", DATA)


async def copy(node: SimNode, container: Container) -> bytes:
    """Copy the source as a gateway does; the copy's data id."""
    async with node.store.open(container, "source") as source, node.store.upload(container, "copy") as upload:
        assert source.data is not None
        if not await upload.reflink(source.data):
            async for piece in source.read():
                await upload.write(piece)
        await upload.commit(HEAD)
    return await data_of(node, container, "copy")


async def data_of(node: SimNode, container: Container, name: str) -> bytes:
    opened = node.store.open(container, name)
    assert isinstance(opened, OpenRow)
    async with opened:
        return opened._data_id


async def test_the_source_stays_until_the_last_device_has_its_links(autojump_clock: MockClock) -> None:
    """A quorum is enough to answer; a rename deletes the source right behind it."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, POLICIES[:1]), CrashPoint()) as node:
            container = await container_with_source(node)
            source_id = await data_of(node, container, "source")
            slow = node.devices[1]
            held = Held(slow._bulk._sync_worker)
            slow._bulk._sync_worker = held
            copy_id = await copy(node, container)
            await node.store.delete(container, "source")
            await trio.sleep(30)
            held.let_go()
            await trio.sleep(30)
            for device in node.devices.values():
                assert len(await device.has_blocks(copy_id)) == BLOCKS, f"device {device.id}"
                assert not await device.has_blocks(source_id)
                assert (await check_device(device)).problems == []
            assert await read_value(node.store, container, "copy") == ("m", DATA)


@pytest.mark.parametrize("policy", [0, 1])
async def test_what_too_few_devices_can_share_is_copied_in_full(autojump_clock: MockClock, policy: int) -> None:
    """Each of two devices lacks one block: every block can still be had."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 6, POLICIES), CrashPoint()) as node:
            container = await container_with_source(node, policy)
            source_id = await data_of(node, container, "source")
            having = [device for device in node.devices.values() if await device.has_blocks(source_id)]
            for block, device in enumerate(having[:2]):
                number, fragment = (await device.has_blocks(source_id))[block]
                packed = index_key(BlockKey(source_id, number, fragment))
                entry = device.blocks.find(BlockKey(source_id, number, fragment))
                assert entry is not None
                device.blocks.drop(packed, entry)
            copy_id = await copy(node, container)
            await node.store.delete(container, "source")
            await trio.sleep(30)
            assert await read_value(node.store, container, "copy") == ("m", DATA)
            for device in having:
                assert len(await device.has_blocks(copy_id)) == BLOCKS
                assert not await device.has_blocks(source_id)
                assert (await check_device(device)).problems == []


async def test_a_device_that_loses_a_link_has_no_copy(autojump_clock: MockClock) -> None:
    """Two repairs of the source at once: the second takes what the first has written away from the reference."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, POLICIES[:1]), CrashPoint()) as node:
            container = await container_with_source(node)
            source_id = await data_of(node, container, "source")
            key = BlockKey(source_id, 0, 0)
            owner = node.store.rows.key(container.id, container.shards, b"source")
            device = node.devices[2]
            device.submit_block(key, seal_block(key, owner, DATA[:BLOCK_BYTES]), lambda _error: None)
            copy_id = await copy(node, container)
            await trio.sleep(30)
            assert len(await device.has_blocks(copy_id)) == BLOCKS, "not repaired"
            assert await read_value(node.store, container, "copy") == ("m", DATA)
