"""Workers without threads: jobs run on the loop, some turns after they were handed over, and answer some turns later.

The number of turns is drawn from a seed, so jobs of different workers and tasks interleave differently with every seed
and alike with the same, and while a job takes its time others queue behind it, so that batches form.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random

import outcome
import trio

from store.core.worker import Done

TURNS_MAX = 12


class Turns:
    """Calls functions some turns of the loop from now. One for each run of trio."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._turn = 0
        self._count = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._parked: trio.lowlevel.Task | None = None
        self._started = False

    def later(self, call: Callable[[], None], turns: int | None = None) -> None:
        """Call it after so many turns (some, if None)."""
        if turns is None:
            turns = self.random.randint(1, TURNS_MAX)
        self._count += 1
        heapq.heappush(self._due, (self._turn + turns, self._count, call))
        if not self._started:
            self._started = True
            trio.lowlevel.spawn_system_task(self._run)
        elif self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    async def _run(self) -> None:
        while True:
            while self._due:
                await trio.lowlevel.cancel_shielded_checkpoint()
                self._turn = self._due[0][0]  # turns in which nothing is due are left out: they cost and show nothing
                while self._due and self._due[0][0] <= self._turn:
                    heapq.heappop(self._due)[2]()
            self._parked = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED


class Gate:
    """Lets jobs through, or holds them up for as long as it is shut: a device that hangs, or is slow."""

    def __init__(self) -> None:
        self.shut = False
        self._waiting: list[Callable[[], None]] = []

    def hold(self, call: Callable[[], None]) -> bool:
        """Whether the call has to wait until the gate opens."""
        if self.shut:
            self._waiting.append(call)
        return self.shut

    def open(self) -> None:
        self.shut = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()


class SimWorker:
    """Keeps the contract of `store.core.worker.Worker`."""

    def __init__(self, turns: Turns, gate: Gate | None = None) -> None:
        self._turns = turns
        self._gate = gate or Gate()
        self._jobs: deque[tuple[Callable[[], object], Done]] = deque()
        self._busy = False

    def submit(self, job: Callable[[], object], done: Done) -> None:
        self._jobs.append((job, done))
        if not self._busy:
            self._busy = True
            self._turns.later(self._next)

    def _next(self) -> None:
        if not self._jobs:
            self._busy = False
            return
        if self._gate.hold(self._next):
            return
        job, done = self._jobs.popleft()
        result = outcome.capture(job)

        def answer() -> None:
            done(result)

        turns = self._turns.random.randint(1, TURNS_MAX)
        self._turns.later(answer, turns)
        self._turns.later(self._next, self._turns.random.randint(1, TURNS_MAX))

    def close(self) -> None:
        self._gate.open()
        while self._jobs:
            self._next()
