"""When rounds of a daemon begin, and how much of what they do is done at once."""

from __future__ import annotations

from collections.abc import Callable

import trio
import trio.testing

from store.replicator.daemon import AT_ONCE, Daemon, Outcome, Schedule, many_at_once
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


async def test_of_many_things_only_so_many_are_done_at_once(autojump_clock: trio.testing.MockClock) -> None:
    done: list[int] = []
    now = most = 0

    async def work(item: int) -> None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await trio.sleep(1)
        now -= 1
        done.append(item)

    await many_at_once(range(AT_ONCE * 2 + 1), work)
    assert sorted(done) == list(range(AT_ONCE * 2 + 1))
    assert (most, trio.current_time()) == (AT_ONCE, 3)
