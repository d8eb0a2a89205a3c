"""What is copied follows what requests feel of it: a disk and clients that are modelled, and no clock of the wall."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from store.replicator.daemon import Slots
from store.replicator.throttle import (
    BEGIN,
    CEILING,
    DECREASE,
    FLOOR,
    IDLE_SECONDS,
    MB,
    MOVE_SECONDS,
    PROBE_SECONDS,
    STEP,
    TOLERATED,
    Governor,
    Throttle,
)

BLOCK = 1_000_000
CYCLE = MOVE_SECONDS + PROBE_SECONDS


class World:
    """A mover that takes all it may up to `disk` bytes a second, and so many requests a second beside it."""

    def __init__(self, requests: float = 500.0, disk: float = 1000 * MB) -> None:
        self.governor = Governor()
        self.now = 100.0
        self.moved = 0
        self._disk = disk
        self._requests = requests
        self._last = self.now
        self._busy_until = 0.0

    def run(self, seconds: float, load: float) -> None:
        """Requests take 1 ms, and `load` times as much more as the mover's share of the disk."""
        end = self.now + seconds
        due = self.governor.due(self.now, BLOCK)
        while self.now < end:
            at = max(due, self._busy_until)
            if at <= self.now:
                self._busy_until = self.now + BLOCK / self._disk
                self.moved += BLOCK
                due = self.governor.due(self.now, BLOCK)
                continue
            step = min(1 / self._requests, at - self.now) if self._requests else at - self.now
            self.now += step
            if self._requests and self.now - self._last >= 1 / self._requests:
                self._last = self.now
                paused = self.governor._probe_at <= self.now < self.governor._resume_at
                share = 0.0 if paused else min(self.governor.rate, self._disk) / self._disk
                self.governor.note(self.now, 0.001 * (1 + load * share))


def test_where_nobody_asks_it_is_as_fast_as_the_disk() -> None:
    world = World(requests=0)
    world.run(10 * CYCLE, 0)
    before = world.moved
    world.run(10 * CYCLE, 0)
    # All but the probes.
    assert world.moved - before >= 0.85 * 10 * CYCLE * 1000 * MB
    assert world.governor.rate <= CEILING


def test_where_requests_feel_nothing_it_grows_by_a_step_each_time() -> None:
    world = World()
    world.run(PROBE_SECONDS + 0.1, 0)
    rates = []
    for _ in range(6):
        world.run(CYCLE, 0)
        rates.append(world.governor.rate)
    assert {after - before for before, after in pairwise(rates)} == {STEP}


def test_where_requests_feel_it_a_balance_is_found_below_what_is_tolerated() -> None:
    """At all of the disk's rate they take four times as long: what is tolerated is reached at a fifth of it."""
    world = World()
    world.run(40 * CYCLE, 3)
    rates = []
    for _ in range(40):
        world.run(CYCLE, 3)
        rates.append(world.governor.rate)
    bound = (TOLERATED - 1) / 3 * 1000 * MB
    assert max(rates) <= bound + STEP
    assert min(rates) >= DECREASE * bound - STEP
    assert sum(rates) / len(rates) >= 0.75 * bound


def test_it_never_falls_below_the_floor_whatever_requests_feel() -> None:
    world = World()
    world.run(60 * CYCLE, 1000)
    assert world.governor.rate == FLOOR
    before, began = world.moved, world.now
    world.run(10 * CYCLE, 1000)
    assert (world.moved - before) / (world.now - began) >= 0.8 * FLOOR


def test_a_load_that_goes_gives_the_disk_back() -> None:
    world = World()
    world.run(60 * CYCLE, 1000)
    world._requests = 0.0
    world.governor._beside.clear()
    before = world.moved
    world.run(20 * CYCLE, 0)
    assert world.moved - before >= 0.5 * 20 * CYCLE * 1000 * MB


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    """What is moved is slower than that for another reason: it would be far too fast when that is over."""
    world = World(disk=30 * MB)
    world.run(30 * CYCLE, 0)
    assert world.governor.rate <= 4 * 30 * MB + STEP


def test_after_a_rest_all_begins_anew_with_a_probe() -> None:
    world = World(requests=0)
    world.run(10 * CYCLE, 0)
    assert world.governor.rate > BEGIN
    world.now += IDLE_SECONDS + CYCLE
    assert world.governor.due(world.now, BLOCK) == pytest.approx(world.now + PROBE_SECONDS)
    assert world.governor.rate == BEGIN


def test_requests_that_began_beside_the_move_are_not_taken_for_undisturbed_ones() -> None:
    governor = Governor()
    governor.due(0.0, BLOCK)
    governor.note(0.2, 0.1)  # it began in the probe, and ended in it
    assert list(governor._without) == [0.1]
    governor.note(0.25, 0.24)  # just as the probe began
    resumed = governor.due(PROBE_SECONDS, BLOCK)
    governor.note(PROBE_SECONDS + 0.1, 0.2)  # began in the probe, ended beside the move
    governor.note(resumed + 1.0, 0.5)
    governor.note(resumed + MOVE_SECONDS + 0.1, 1.0)  # began beside the move, ended in the next probe
    assert list(governor._without) == [0.1]
    assert list(governor._beside) == [0.5]


class TrioClock:
    def monotonic(self) -> float:
        return trio.current_time()

    def wall_us(self) -> int:
        return 0


async def test_several_share_one_rate(autojump_clock: MockClock) -> None:
    throttle = Throttle(TrioClock())
    began = trio.current_time()

    async def move() -> None:
        for _ in range(20):
            await throttle.spend(BLOCK)

    async def ask() -> None:
        while True:
            await trio.sleep(0.1)
            throttle.note(0.001)

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(move)
        asking.cancel_scope.cancel()
    # 80 MB: the first probe, two seconds at the first rate, a probe, and little that is left.
    assert trio.current_time() - began == pytest.approx(PROBE_SECONDS + 80 * MB / BEGIN, abs=PROBE_SECONDS + 0.1)


async def test_slots_do_so_many_at_once_and_know_which(autojump_clock: MockClock) -> None:
    most = running = 0

    async def work() -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    began = trio.current_time()
    async with Slots(3) as slots:
        for number in range(7):
            await slots.begin(b"%d" % number, work)
        assert b"6" in slots
        assert b"0" not in slots
    assert (most, running) == (3, 0)
    assert trio.current_time() - began == pytest.approx(3)
