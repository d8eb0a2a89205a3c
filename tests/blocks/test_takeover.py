"""Takeover: what counts of a log whose writer is gone, or is not gone and does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks.disk import OwnerReplacedError
from store.blocks.log_frame import FRAME_PAGES
from store.blocks.log_object import parse_row, row_name
from store.blocks.object_rows import ObjectRows
from store.blocks.open_object import OpenObject
from store.blocks.owned_head import take_head
from store.blocks.table import Table
from store.blocks.volume import Volume
from store.core.errors import DamageError, RetryableError
from store.device.block import BlockKey
from store.device.port import Done
from store.device.record import Sealed
from store.engine.device import Device
from tests.blocks.conftest import catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, read
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits
from tests.simulation.world import SeededRandom


class KilledError(Exception):
    """The process that wrote is no more."""


@asynccontextmanager
async def killed(node: SimNode, name: str = "v") -> AsyncIterator[Volume]:
    """A volume whose writer is killed at the end."""
    with suppress(KilledError):
        async with volume_of(node, name) as volume:
            yield volume
            raise KilledError


def filling(volume: Volume) -> OpenObject:
    """The log object that is written now."""
    return next(each for each in volume._appender._open if not each.closing)


@contextmanager
def deaf(device: Device, data_id: bytes, to: Callable[[int], bool] = lambda block: True) -> Iterator[None]:
    """It neither takes such blocks of these data, nor says anything of them."""
    submit = device.submit_block

    def hear(key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None) -> None:
        if key.data_id != data_id or not to(key.block):
            submit(key, sealed, done, cached=cached, epoch=epoch)

    with mock.patch.object(device, "submit_block", hear):
        yield


async def start(node: SimNode, volume: Volume, block: int, fill: bytes, nursery: trio.Nursery) -> None:
    """Begin a write that is not answered."""
    nursery.start_soon(volume.write, block * PAGE, fill * PAGE)
    await trio.sleep(0.2)


async def test_a_frame_at_one_home_counts_or_not_and_then_for_good(autojump_clock: MockClock) -> None:
    for others in range(1, 3):  # how many homes have it not
        async with node_of(media(3)) as node:
            async with killed(node) as volume, trio.open_nursery() as nursery:
                await volume.write(0, b"a" * PAGE)
                object_ = filling(volume)
                for home in object_.homes[:others]:
                    nursery.start_soon(_stay_deaf, node.devices[home], object_.data_id)
                await trio.sleep(0)
                await start(node, volume, 0, b"b", nursery)
                nursery.cancel_scope.cancel()
            async with killed(node) as volume:
                found = await read(volume, 0, PAGE)
                assert found in ([b"b" * PAGE] if others == 1 else [b"a" * PAGE, b"b" * PAGE])
            async with volume_of(node) as volume:
                assert await read(volume, 0, PAGE) == found


async def _stay_deaf(device: Device, data_id: bytes) -> None:
    with deaf(device, data_id):
        await trio.sleep_forever()


async def test_nothing_behind_a_gap_counts(autojump_clock: MockClock) -> None:
    """No home has the second frame, one has the third."""
    async with node_of(media(3)) as node:
        async with killed(node) as volume, trio.open_nursery() as nursery:
            await volume.write(0, b"a" * PAGE)
            object_ = filling(volume)
            first, *others = (node.devices[home] for home in object_.homes)
            deafs = [deaf(each, object_.data_id) for each in others]
            with deaf(first, object_.data_id, lambda block: block == 1), deafs[0], deafs[1]:
                # As many as fill a frame: a small one would wait for the one before.
                await start(node, volume, 1, b"b" * FRAME_PAGES, nursery)
                await start(node, volume, 1 + FRAME_PAGES, b"c" * FRAME_PAGES, nursery)
            assert len(object_.frames) == 3
            nursery.cancel_scope.cancel()
        async with volume_of(node) as volume:
            assert await read(volume, 0, 3 * PAGE) == b"a" * PAGE + bytes(2 * PAGE)
            await volume.write(3 * PAGE, b"d" * PAGE)
        async with volume_of(node) as volume:
            assert await read(volume, 0, 4 * PAGE) == b"a" * PAGE + bytes(2 * PAGE) + b"d" * PAGE


async def test_a_tail_at_a_home_that_was_not_asked_never_counts(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume, trio.open_nursery() as nursery:
            await volume.write(0, b"a" * PAGE)
            object_ = filling(volume)
            alone, *others = object_.homes
            with deaf(node.devices[others[0]], object_.data_id), deaf(node.devices[others[1]], object_.data_id):
                await start(node, volume, 0, b"b", nursery)
            nursery.cancel_scope.cancel()
        node.take_away(alone)
        async with killed(node) as volume:
            assert await read(volume, 0, PAGE) == b"a" * PAGE
        await node.bring_back(alone)
        await node.run_daemons()
        for other in others:
            node.take_away(other)
            async with sooner_or_later(node) as volume:
                assert await read(volume, 0, PAGE) == b"a" * PAGE
            await node.bring_back(other)


@asynccontextmanager
async def sooner_or_later(node: SimNode) -> AsyncIterator[Volume]:
    """The volume, which cannot be opened at every moment."""
    with trio.fail_after(300):
        while True:
            with suppress(RetryableError):
                async with killed(node) as volume:
                    yield volume
                return
            await trio.sleep(1)


@pytest.mark.parametrize("which", range(3))
async def test_a_frame_that_two_homes_have_is_found_though_one_is_gone(autojump_clock: MockClock, which: int) -> None:
    """Whichever of the homes lacks it, and whichever of the others is out."""
    for out in (each for each in range(3) if each != which):
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                await volume.write(0, b"a" * PAGE)
                object_ = filling(volume)
                lacking, gone = object_.homes[which], object_.homes[out]
                with deaf(node.devices[lacking], object_.data_id):
                    await volume.write(PAGE, b"b" * PAGE, durable=True)
            node.take_away(gone)
            async with sooner_or_later(node) as volume:
                assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE
            await node.bring_back(gone)


async def test_homes_that_were_made_anew_are_not_believed_to_have_had_nothing(autojump_clock: MockClock) -> None:
    """One home lacks a frame, one is out, and one was made anew: it waits for the one that is out."""
    these = media(5)
    async with node_of(these) as node, killed(node) as volume:
        await volume.write(0, b"a" * PAGE, durable=True)
        object_ = filling(volume)
        anew, out, lacking = object_.homes
        with deaf(node.devices[lacking], object_.data_id):
            await volume.write(PAGE, b"b" * PAGE, durable=True)
        number, data_id = object_.number, object_.data_id
    these.wipe(anew)
    async with node_of(these) as node:
        await node.run_daemons()
        node.take_away(out)
        for _ in range(3):
            with pytest.raises(RetryableError):
                async with volume_of(node):
                    raise AssertionError
        found = await Table(node.store, await catalogue_of(node).find("v")).load(row_name(number))
        assert found is not None
        assert parse_row(number, found).contents is None
        assert found.data_id == data_id
        await node.bring_back(out)
        async with volume_of(node) as volume:
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE


async def test_others_stand_in_for_homes_that_cannot_be_written(autojump_clock: MockClock) -> None:
    these = media(5)
    async with node_of(these) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
            object_ = filling(volume)
            kept, other, gone = object_.homes
            with deaf(node.devices[other], object_.data_id):
                await volume.write(PAGE, b"b" * PAGE)
        node.take_away(gone)
        with deaf(node.devices[other], object_.data_id), trio.fail_after(300):
            async with sooner_or_later(node) as volume:
                assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE
                row = await volume.head._table.load(row_name(1))
                assert row is not None
                sealed = parse_row(1, row)
        assert sealed.homes[0] == kept
        assert not {sealed.homes[1]} & {other, gone}
        await node.bring_back(gone)
        node.take_away(kept)
        async with sooner_or_later(node) as volume:
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE


async def test_what_was_taken_over_is_durable(autojump_clock: MockClock) -> None:
    """Nobody had synced it; whoever took it over has, before anybody reads it."""
    these = media(3)
    async with node_of(these) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
        async with killed(node) as volume:
            assert await read(volume, 0, PAGE) == b"a" * PAGE
    these.lose_power()
    async with node_of(these) as node, volume_of(node) as volume:
        assert await read(volume, 0, PAGE) == b"a" * PAGE


async def test_objects_that_are_open_are_all_decided(autojump_clock: MockClock) -> None:
    """Frames in one that is closing, and in the one ahead of it."""
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume:
                syncs = [mock.patch.object(device, "submit_sync") for device in node.devices.values()]
                for each in syncs:
                    each.start()
                for at in range(4):
                    await volume.write(at * 8 * PAGE, bytes([at + 1]) * 8 * PAGE)
                assert len(volume._appender._open) == 2
                assert all(each.frames for each in volume._appender._open)
                for each in syncs:
                    each.stop()
            async with killed(node) as volume:
                assert await read(volume, 0, 32 * PAGE) == b"".join(bytes([at + 1]) * 8 * PAGE for at in range(4))


async def test_nothing_of_the_second_object_counts_where_the_first_ends_early(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with killed(node) as volume, trio.open_nursery() as nursery:
                for at in range(2):
                    await volume.write(at * 8 * PAGE, bytes([at + 1]) * 8 * PAGE)
                await trio.sleep(0.1)
                first, second = volume._appender._open
                deafs = [deaf(device, first.data_id, lambda block: block == 2) for device in node.devices.values()]
                with deafs[0], deafs[1], deafs[2]:
                    nursery.start_soon(volume.write, 16 * PAGE, b"x" * 8 * PAGE)
                    await trio.sleep(0.1)
                    nursery.start_soon(volume.write, 24 * PAGE, b"y" * 8 * PAGE)
                    await trio.sleep(0.1)
                assert (len(first.frames), len(second.frames)) == (3, 1)
                nursery.cancel_scope.cancel()
            for _ in range(2):
                async with killed(node) as volume:
                    found = await read(volume, 0, 32 * PAGE)
                    assert found == b"\1" * 8 * PAGE + b"\2" * 8 * PAGE + bytes(16 * PAGE)


async def test_openings_without_writes_leave_void_objects(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
        for _ in range(3):
            async with killed(node) as volume:
                assert await read(volume, 0, PAGE) == b"a" * PAGE
        async with volume_of(node) as volume:
            await volume.write(PAGE, b"b" * PAGE)
        async with volume_of(node) as volume:
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE
            row = await volume.head._table.load(row_name(3))
            assert row is not None
            found = parse_row(3, row)
            assert (found.data_id, found.contents is not None and found.contents.frames) == (b"", [])


async def test_a_frame_that_may_have_counted_and_cannot_be_read_is_damage(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume:
            await volume.write(0, b"a" * PAGE)
            await volume.write(PAGE, b"b" * PAGE)

        async def damaged(key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
            raise DamageError("half of it")

        patches = [mock.patch.object(device, "read_block", damaged) for device in node.devices.values()]
        with patches[0], patches[1], patches[2], pytest.raises(DamageError):
            async with volume_of(node):
                raise AssertionError
        with patches[0], patches[1]:
            async with volume_of(node) as volume:
                assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE


async def test_of_two_that_take_over_at_once_one_has_it_and_nothing_is_lost(autojump_clock: MockClock) -> None:
    for seed in range(8):
        async with node_of(media(4, seed)) as node:
            async with killed(node) as volume:
                for block in range(5):
                    await volume.write(block * PAGE, b"a" * PAGE)
            answered: dict[int, bytes] = {}
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(_take, node, number, answered)
            async with volume_of(node) as volume:
                assert await read(volume, 0, 5 * PAGE) == b"a" * 5 * PAGE
                assert answered
                for number, fill in answered.items():
                    assert await read(volume, (10 + number) * PAGE, PAGE) == fill * PAGE


async def _take(node: SimNode, number: int, answered: dict[int, bytes]) -> None:
    fill = bytes([number + 1])
    with suppress(OwnerReplacedError):
        async with sooner_or_later(node) as volume:
            assert await read(volume, 0, 5 * PAGE) == b"a" * 5 * PAGE
            await volume.write((10 + number) * PAGE, fill * PAGE)
            answered[number] = fill


async def test_who_was_replaced_opens_no_object_not_even_one_that_nobody_has(autojump_clock: MockClock) -> None:
    """The objects that came after its last may all have been written, and dropped, while it slept: their numbers are as
    free as before."""
    async with node_of(media(3)) as node:
        table = Table(node.store, await catalogue_of(node).create("v", 1 << 20))
        old = ObjectRows(table, (await take_head(table, "", 0)).epoch, SeededRandom(node.media.random))
        assert (await old.open(1)).number == 1
        new = ObjectRows(table, (await take_head(table, "", 0)).epoch, SeededRandom(node.media.random))
        with pytest.raises(OwnerReplacedError):
            await old.open(2)
        assert (await new.open(3)).number == 3


async def test_a_writer_that_slept_while_others_wrote_has_nothing_answered(autojump_clock: MockClock) -> None:
    """It slept when it was about to open its next object; all objects of that time are gone when it wakes up."""
    with small_volume_limits():
        async with node_of(media(3)) as node:
            with suppress(OwnerReplacedError):
                async with volume_of(node) as old:
                    awake = trio.Event()
                    rows = old._appender._objects
                    opens = rows.open

                    async def asleep(number: int) -> OpenObject:
                        await awake.wait()
                        return await opens(number)

                    with mock.patch.object(rows, "open", asleep):
                        for at in range(3):
                            await old.write(at * 8 * PAGE, b"a" * 8 * PAGE)
                        await old.flush()
                        await trio.sleep(5)
                        async with volume_of(node) as new:
                            for _ in range(12):
                                await new.write(0, b"b" * 8 * PAGE, durable=True)
                            await trio.sleep(30)
                            assert await new.head._table.load(row_name(2)) is None
                            awake.set()
                            with pytest.raises(OwnerReplacedError):
                                await old.write(0, b"c" * PAGE)
                            assert await read(new, 0, 8 * PAGE) == b"b" * 8 * PAGE


async def test_a_takeover_that_fails_on_its_way_is_done_again(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with killed(node) as volume:
            for block in range(4):
                await volume.write(block * PAGE, b"a" * PAGE)
            homes = filling(volume).homes
        for home in homes[:2]:
            node.take_away(home)
        with pytest.raises(RetryableError):
            async with volume_of(node):
                raise AssertionError
        for home in homes[:2]:
            await node.bring_back(home)
        async with sooner_or_later(node) as volume:
            assert await read(volume, 0, 4 * PAGE) == b"a" * 4 * PAGE


@pytest.mark.parametrize("crash", [False, True])
async def test_an_object_that_was_opened_while_a_device_was_out_comes_to_have_all_homes(
    autojump_clock: MockClock, crash: bool
) -> None:
    """Its row names that device, too, whoever seals it: repair brings it there when it is back."""
    async with node_of(media(3)) as node:
        async with volume_of(node) as volume:
            await volume.write(0, b"a" * PAGE)
        node.take_away(0)
        async with sooner_or_later(node) as volume:
            await volume.write(0, b"b" * PAGE)
            object_ = filling(volume)
            assert object_.homes == (1, 2)
            if not crash:
                await volume._appender.end()
        async with sooner_or_later(node):
            await node.bring_back(0)
            for _ in range(3):
                await node.run_daemons()
            for device in node.devices.values():
                assert await device.has_blocks(object_.data_id) == [(0, 0)]
        node.take_away(1)
        async with sooner_or_later(node) as volume:
            assert await read(volume, 0, PAGE) == b"b" * PAGE
