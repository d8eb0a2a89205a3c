"""Devices that fail or are missing are tried again: after growing waits, from their folder, without anybody's help."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from random import Random

import pytest
import trio
from trio.testing import MockClock

from drystone.device_watch import DeviceWatch, Housed, InThread, abandoning
from store.core.errors import DeviceError
from store.device.row import index_key
from store.engine.opening import open_device
from store.engine.options import Options
from store.engine.owner import OwnedDevice
from tests.engine.devices import CLUSTER, disk_of, row, write
from tests.simulation.disk import SimMedium
from tests.simulation.node import engine_of
from tests.twins.index import IndexMedium, SimIndex


class Shelf:
    """Devices on simulated media, which can be taken away and put back."""

    def __init__(self, count: int) -> None:
        self.media = {number: SimMedium(Random(number)) for number in range(count)}
        self.indexes = {number: IndexMedium() for number in range(count)}
        self.away: set[int] = set()
        self.tries: list[tuple[int, float]] = []
        self.open_now: set[int] = set()

    async def open(self, number: int, stack: ExitStack) -> Housed:
        self.tries.append((number, round(trio.current_time())))
        self._look(number)
        assert number not in self.open_now, "two owners"
        index = self.indexes[number]
        device = await open_device(
            number, CLUSTER, disk_of(self.media[number]), lambda: SimIndex(index), Options(256 * 1024, 0)
        )
        self.open_now.add(number)
        stack.callback(self.open_now.discard, number)
        return Housed(OwnedDevice(device), 0, lambda: self._look(number))

    def _look(self, number: int) -> int:
        if number in self.away:
            raise FileNotFoundError("gone")
        return 1000 + number

    def waits(self, number: int) -> list[float]:
        """The time between tries."""
        times = [time for each, time in self.tries if each == number]
        return [later - before for before, later in pairwise(times)]


async def at_once(work: Callable[[], int | None]) -> int | None:
    """A clock that jumps would not wait for threads."""
    await trio.lowlevel.checkpoint()
    return work()


@asynccontextmanager
async def watching(shelf: Shelf, in_thread: InThread = at_once) -> AsyncIterator[DeviceWatch]:
    watch = DeviceWatch(shelf.open, in_thread)
    await watch.open_all(shelf.media)
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        yield watch
        nursery.cancel_scope.cancel()
    await watch.close()


async def test_a_missing_device_is_tried_after_growing_waits(autojump_clock: MockClock) -> None:
    shelf = Shelf(2)
    shelf.away.add(1)
    back: list[int] = []
    async with watching(shelf) as watch:
        watch.on_back.append(back.append)
        assert sorted(watch.devices) == [0]
        assert "gone" in watch.missing[1]
        await trio.sleep(300)
        waits = shelf.waits(1)
        assert waits == sorted(waits)
        assert (waits[0], waits[-1]) == (5, 10)
        shelf.away.clear()
        await trio.sleep(21)
        assert (sorted(watch.devices), watch.missing, back) == ([0, 1], {}, [1])


async def test_a_device_that_fails_is_opened_anew_with_all_that_it_had(autojump_clock: MockClock) -> None:
    shelf = Shelf(1)
    async with watching(shelf) as watch:
        before = engine_of(watch.devices[0])
        assert await write(before, row(b"kept", 1)) == [None]
        before.fail("a test")
        with pytest.raises(DeviceError, match="a test"):
            await before.find_row(index_key(row(b"kept", 1).key))
        assert watch.devices[0] is before, "whoever asks for it gets an error, and no device is not there"
        await trio.sleep(15)
        after = watch.devices[0]
        assert after is not before
        assert await after.find_row(index_key(row(b"kept", 1).key)) is not None
        with pytest.raises(DeviceError, match="lost"):
            await after.sync_data(before.data_losses)


async def test_a_device_whose_folder_is_gone_is_out(autojump_clock: MockClock) -> None:
    shelf = Shelf(2)
    async with watching(shelf) as watch:
        await trio.sleep(6)
        assert watch.free_bytes(1) == 1001
        shelf.away.add(1)
        await trio.sleep(11)
        assert watch.devices[1].failed is not None
        assert watch.devices[0].failed is None
        assert watch.free_bytes(1) == 1001


async def test_a_device_that_fails_again_and_again_is_left_out_for_longer(autojump_clock: MockClock) -> None:
    shelf = Shelf(1)
    async with watching(shelf) as watch:
        for _ in range(12):
            engine_of(watch.devices[0]).fail("again")
            before = watch.devices[0]
            while watch.devices[0] is before:
                await trio.sleep(1)
        assert shelf.waits(0)[-1] > 500
        await trio.sleep(2000)
        shelf.tries.clear()
        failed = engine_of(watch.devices[0])
        failed.fail("after a long time")
        began = trio.current_time()
        while watch.devices[0] is failed:
            await trio.sleep(1)
        assert trio.current_time() - began < 20, "it was sound for long: it begins with a short wait"


async def test_a_device_that_hangs_is_not_opened_twice() -> None:
    """In real time: what hangs is a thread."""
    shelf = Shelf(1)
    hangs = threading.Event()
    async with watching(shelf, abandoning) as watch:
        device = engine_of(watch.devices[0])
        stop_workers = device.stop_workers

        def stop() -> None:
            hangs.wait()
            stop_workers()

        device.stop_workers = stop  # type: ignore[method-assign]
        device.fail("hangs")
        watch.retry(0)
        for _ in range(20):
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(shelf.tries) == 1
        assert shelf.open_now == {0}
        hangs.set()
        while watch.devices[0] is device:
            await trio.sleep(0.01)
        assert len(shelf.tries) == 2


async def test_a_device_is_tried_at_once_when_asked(autojump_clock: MockClock) -> None:
    shelf = Shelf(1)
    shelf.away.add(0)
    async with watching(shelf) as watch:
        await trio.sleep(200)
        shelf.away.clear()
        watch.retry(0)
        await trio.sleep(0.1)
        assert 0 in watch.devices
        tries = len(shelf.tries)
        watch.retry(0)
        await trio.sleep(100)
        assert len(shelf.tries) == tries, "it serves"


async def test_a_try_that_begins_when_the_device_is_back_leaves_it_alone(autojump_clock: MockClock) -> None:
    """It was begun while another was under way: for its time had come, or the registry had news."""
    shelf = Shelf(1)
    async with watching(shelf) as watch:
        engine_of(watch.devices[0]).fail("a test")
        await trio.sleep(15)
        back, tries = engine_of(watch.devices[0]), len(shelf.tries)
        await watch._try(0)
        assert len(shelf.tries) == tries
        assert engine_of(watch.devices[0]) is back
        assert await write(back, row(b"more", 2)) == [None]
