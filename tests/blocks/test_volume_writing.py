"""Writing a volume: what is asked for at the same time, what waits for room, and what becomes of whoever waits."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import checkpointer, volume
from store.blocks.disk import ExtentKind, OwnerReplacedError
from store.core.errors import FullError
from store.device.record import Buffer
from store.engine.device import Device
from tests.blocks.conftest import media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read
from tests.blocks.test_takeover import killed
from tests.simulation.disk import SimDisk
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits


def disk_of(device: Device) -> SimDisk:
    disk = device._disk
    assert isinstance(disk, SimDisk)
    return disk


async def test_parts_of_one_block_that_are_written_at_once_are_all_there(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as opened:
        await opened.write(0, b"-" * PAGE)
        async with trio.open_nursery() as nursery:
            for at in range(0, PAGE, 64):
                nursery.start_soon(opened.write, at, f"{at:08}".encode() * 8)
        assert await read(opened, 0, PAGE) == b"".join(f"{at:08}".encode() * 8 for at in range(0, PAGE, 64))


async def test_a_part_of_a_block_in_the_middle_of_what_is_written_meanwhile(autojump_clock: MockClock) -> None:
    """The block is as one of the two left it, and then the other: never as it was before both."""
    async with node_of(media()) as node, volume_of(node) as opened:
        await opened.write(0, b"-" * 3 * PAGE)
        read_blocks = opened._disk.read

        async def slowly(first: int, count: int) -> list[Buffer]:
            found = await read_blocks(first, count)
            await trio.sleep(10 if first == 1 else 1)
            return found

        with mock.patch.object(opened._disk, "read", slowly):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(opened.write, 100, b"w" * (2 * PAGE + 200))
                await trio.sleep(0.1)
                nursery.start_soon(opened.write, PAGE + 50, b"n" * 10)
        found = await read(opened, PAGE, PAGE)
        assert found == b"w" * 50 + b"n" * 10 + b"w" * (PAGE - 60)


async def test_whole_blocks_wait_for_parts_of_them(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as opened:
        await opened.write(0, b"-" * PAGE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opened.write, 10, b"p" * 10)
            nursery.start_soon(opened.write, 0, b"w" * PAGE)
        found = await read(opened, 0, PAGE)
        assert b"-" not in found


async def test_a_write_of_many_frames(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media()) as node, volume_of(node) as opened:
            model = ModelDisk(opened.size)
            for offset, size in ((PAGE, 50 * PAGE), (17, 33 * PAGE), (30 * PAGE - 5, 40 * PAGE)):
                data = Random(size).randbytes(size)
                await opened.write(offset, data)
                model.write(offset, data)
                assert await read(opened) == model.data
            await opened.flush()
            assert await read(opened) == model.data


async def test_what_is_written_may_be_changed_when_it_was_answered(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as opened:
        data = bytearray(b"a" * 2 * PAGE)
        await opened.write(0, data)
        data[:] = bytes(2 * PAGE)
        assert await read(opened, 0, 2 * PAGE) == b"a" * 2 * PAGE
        await opened.flush()
        assert await read(opened, 0, 2 * PAGE) == b"a" * 2 * PAGE


async def test_zeros_and_holes_are_told_apart(autojump_clock: MockClock) -> None:
    """At once, and from the map; ranges of any size, what was written last counts."""
    big = 2000
    async with node_of(media()) as node, volume_of(node) as opened:
        await opened.write(0, b"a" * 4 * PAGE)
        await opened.zero(PAGE, big * PAGE, keep=True)
        await opened.write(10 * PAGE, b"b" * PAGE)
        await opened.discard(20 * PAGE, 1500 * PAGE)
        await opened.write(30 * PAGE, b"c" * PAGE)
        await opened.zero(40 * PAGE, 2 * PAGE, keep=True)
        for _ in range(2):
            extents = await opened.extents(0, big * PAGE, 100)
            assert [(each.length // PAGE, each.kind) for each in extents] == [
                (1, ExtentKind.DATA),
                (9, ExtentKind.ZERO),
                (1, ExtentKind.DATA),
                (9, ExtentKind.ZERO),
                (10, ExtentKind.HOLE),
                (1, ExtentKind.DATA),
                (9, ExtentKind.HOLE),
                (2, ExtentKind.ZERO),
                (1478, ExtentKind.HOLE),
                (480, ExtentKind.ZERO),
            ]
            assert await opened.extents(100, 2 * PAGE, 100) == [
                (PAGE - 100, ExtentKind.DATA),
                (PAGE + 100, ExtentKind.ZERO),
            ]
            assert len(await opened.extents(0, big * PAGE, 3)) == 3
            assert await read(opened, 9 * PAGE, 2 * PAGE) == bytes(PAGE) + b"b" * PAGE
            await opened.flush()
            await opened.all_applied()


async def test_writers_wait_while_much_is_in_memory(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media()) as node, volume_of(node) as opened:
            async with trio.open_nursery() as nursery:
                for block in range(400):
                    nursery.start_soon(opened.write, block * PAGE, f"{block:04}".encode() * 1024)
                for _ in range(100):
                    await trio.lowlevel.checkpoint()
                    assert opened._held <= volume.HELD_BYTES_MAX + PAGE
            found = await read(opened, 0, 400 * PAGE)
            assert found == b"".join(f"{block:04}".encode() * 1024 for block in range(400))


async def test_who_waits_for_room_is_told_that_another_has_the_volume(autojump_clock: MockClock) -> None:
    failures: list[Exception] = []

    async def write(opened: volume.Volume, block: int) -> None:
        try:
            await opened.write(block * PAGE, b"a" * PAGE)
        except OwnerReplacedError as error:
            failures.append(error)

    with small_volume_limits():
        async with node_of(media(3)) as node:
            with suppress(OwnerReplacedError):
                async with volume_of(node) as old, volume_of(node):
                    with trio.fail_after(120):
                        async with trio.open_nursery() as nursery:
                            for block in range(400):
                                nursery.start_soon(write, old, block)
    assert len(failures) == 400


async def test_full_devices_refuse_writes_and_take_them_again(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with volume_of(node) as opened:
                await opened.write(0, b"a" * PAGE)
                _fill(node)
                refused = 0
                for block in range(1, 60):
                    with suppress(FullError), trio.move_on_after(2):
                        await opened.write(block * PAGE, b"b" * PAGE)
                        continue
                    refused += 1
                assert refused
                assert await read(opened, 0, PAGE) == b"a" * PAGE
                _empty(node)
                await trio.sleep(30)
                await opened.write(0, b"c" * 60 * PAGE)
                await opened.flush()
                assert await read(opened, 0, 60 * PAGE) == b"c" * 60 * PAGE
            async with volume_of(node) as opened:
                assert await read(opened, 0, 60 * PAGE) == b"c" * 60 * PAGE


def _fill(node: SimNode) -> None:
    for device in node.devices.values():
        disk_of(device).medium.capacity = disk_of(device).medium.used()


def _empty(node: SimNode) -> None:
    for device in node.devices.values():
        disk_of(device).medium.capacity = 1 << 40


async def test_the_log_behind_a_checkpoint_counts_over_openings(autojump_clock: MockClock) -> None:
    """Many short lives come to a checkpoint as one long does: else each had all the log to go through."""
    with small_volume_limits():
        async with node_of(media()) as node:
            for life in range(8):
                async with volume_of(node) as opened:
                    for at in range(2):
                        await opened.write((16 * life + 8 * at) * PAGE, f"{life:04}".encode() * 8192)
            async with volume_of(node) as opened:
                with trio.fail_after(60):  # a life may end before what is due is stored: then the next one does that
                    while opened.applied_bytes >= checkpointer.LOG_BYTES_MIN:
                        await opened.on_applied.wait(1.0)
                assert opened.head.head.root.checkpoint > 0
                assert await read(opened, 0, 128 * PAGE) == b"".join(f"{life:04}".encode() * 16384 for life in range(8))


async def test_what_an_opening_has_not_counted_yet_is_not_taken_for_dead(autojump_clock: MockClock) -> None:
    """Else each would store a checkpoint, and copy what is needed."""
    with small_volume_limits(), mock.patch.object(checkpointer, "LOG_BYTES_MIN", 1 << 30):
        async with node_of(media()) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * 100 * PAGE)
                await volume.flush()
            async with volume_of(node) as volume:
                await trio.sleep(5)
                await volume.write(200 * PAGE, b"b" * PAGE, durable=True)
                await trio.sleep(5)
                assert volume.head.head.root.checkpoint == 0
                assert await read(volume, 0, 100 * PAGE) == b"a" * 100 * PAGE


@pytest.mark.parametrize("lives", [3])
async def test_two_that_are_open_never_both_have_a_write_answered(autojump_clock: MockClock, lives: int) -> None:
    async with node_of(media()) as node:
        for life in range(lives):
            with suppress(OwnerReplacedError):
                async with volume_of(node) as old:
                    await old.write(0, f"old{life}".encode().ljust(PAGE))
                    async with volume_of(node) as new:
                        assert (await read(new, 0, PAGE)).rstrip() == f"old{life}".encode()
                        for durable in (False, True):
                            with pytest.raises(OwnerReplacedError):
                                await old.write(PAGE, b"late" * 1024, durable=durable)
                        assert await read(new, PAGE, PAGE) == bytes(PAGE)
