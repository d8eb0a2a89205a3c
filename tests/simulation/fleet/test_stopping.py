"""A process that is stopped has no turns, and is not told."""

from __future__ import annotations

from random import Random

import trio

from tests.simulation.fleet.stopping import LIFE, RunQueue
from tests.simulation.world import run


def test_tasks_of_a_stopped_process_have_no_turns() -> None:
    turns: list[tuple[str, float]] = []

    async def live(life: str) -> None:
        LIFE.set(life)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, life)

    async def tick(life: str) -> None:
        for _ in range(5):
            await trio.sleep(1)
            turns.append((life, trio.current_time()))

    async def main() -> None:
        queue = RunQueue()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live, "a")
            nursery.start_soon(live, "b")
            await trio.sleep(2.5)
            queue.stop("a")
            await trio.sleep(2)
            queue.go_on(["a"])

    run(main, Random(1))
    assert [at for life, at in turns if life == "a"] == [1, 2, 4.5, 5.5, 6.5]
    assert [at for life, at in turns if life == "b"] == [1, 2, 3, 4, 5]
