"""When rounds of a daemon begin."""

from __future__ import annotations

from collections.abc import Callable

import trio
import trio.testing

from store.replicator.daemon import Daemon, Outcome, Schedule
from store.replicator.progress import Progress

SCHEDULE = Schedule(retry=10.0, retry_max=1000.0)


async def _rounds(outcome: Outcome, until: float, wake_at: Callable[[int], float]) -> list[float]:
    """When the rounds of a daemon begin that all end like this, while it is woken again and again."""
    began: list[float] = []

    async def work() -> Outcome:
        began.append(trio.current_time())
        return outcome

    daemon = Daemon(Progress("works"), SCHEDULE, work)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.run)
        number = 0
        while (at := wake_at(number)) < until:
            await trio.sleep_until(at)
            daemon.wake()
            number += 1
        await trio.sleep_until(until)
        nursery.cancel_scope.cancel()
    return began


async def test_while_nothing_is_done_each_wait_is_twice_as_long(autojump_clock: trio.testing.MockClock) -> None:
    began = await _rounds(Outcome(0, left=1), 200, lambda _: 1000.0)
    assert [round(at) for at in began] == [0, 10, 31, 72, 152]


async def test_rounds_for_which_it_was_woken_do_not_lengthen_the_waits(autojump_clock: trio.testing.MockClock) -> None:
    """A device that comes and goes, or a link, wakes the daemon each time: when all is well at last it does not wait
    for half an hour."""
    began = await _rounds(Outcome(0, left=1), 150, lambda number: 2.0 * (number + 1) if number < 20 else 1000.0)
    assert [round(at) for at in began if at > 39] == [40, 50, 71, 112]
