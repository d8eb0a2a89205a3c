"""The seam to threads: a worker runs blocking jobs in order, off the event loop, and reports back on it.

A worker is one thread, so jobs of one worker never overlap: the committer of a log needs no lock. Handing over a job
costs a queue put and its answer one wake-up of the loop, which is a fraction of `trio.to_thread.run_sync`.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import outcome
import trio

from store.core.errors import BusyError

T = TypeVar("T")
Done = Callable[["outcome.Maybe[Any]"], None]


class Worker(Protocol):
    """Runs jobs one after the other."""

    def submit(self, job: Callable[[], object], done: Done) -> None:
        """Run `job` off the loop, then `done` with its outcome on the loop. `done` must not raise."""
        ...

    def close(self) -> None:
        """Take no more jobs; those submitted still run. Returns when the last has run."""
        ...


class ThreadWorker:
    """A worker that is one thread, started with its first job. Made and used inside one trio run."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._token = trio.lowlevel.current_trio_token()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], object], Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[], object], done: Done) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, done))

    def close(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            result = outcome.capture(job)
            try:
                self._token.run_sync_soon(done, result)
            except trio.RunFinishedError:
                return


class WatchedWorker:
    """A worker of which it is known how long it has not answered. Where taking an answer in raises, which would end the
    whole program, `on_raised` is called instead."""

    def __init__(self, inner: Worker, on_raised: Callable[[Exception], object]) -> None:
        self.inner = inner
        self._on_raised = on_raised
        self._since: deque[float] = deque()

    def submit(self, job: Callable[[], object], done: Done) -> None:
        def answered(result: outcome.Maybe[Any]) -> None:
            self._since.popleft()
            try:
                done(result)
            except Exception as error:
                self._on_raised(error)

        self._since.append(trio.current_time())
        self.inner.submit(job, answered)

    def unanswered_since(self, now: float) -> float:
        """When the oldest job was handed over that is not answered; `now` where there is none."""
        return self._since[0] if self._since else now

    @property
    def unanswered_s(self) -> float:
        """How many seconds ago the oldest job was handed over that is not answered; 0 where there is none."""
        return trio.current_time() - self._since[0] if self._since else 0.0

    def close(self) -> None:
        self.inner.close()


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Call each. What one of them raises comes up when all have been called: none of those who wait is forgotten."""
    raised: Exception | None = None
    for call in calls:
        try:
            call()
        except Exception as error:
            raised = error
    if raised is not None:
        raise raised


async def run_in(worker: Worker, job: Callable[[], T]) -> T:
    """Run one job and wait for it. A cancellation waits too: a job that has begun cannot be taken back."""
    task = trio.lowlevel.current_task()

    def done(result: outcome.Maybe[T]) -> None:
        trio.lowlevel.reschedule(task, result)

    worker.submit(job, done)
    result: T = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
    return result


async def answer_within(worker: WatchedWorker, job: Callable[[], T], seconds: float) -> T:
    """The same, but waits no longer than so many seconds, and not at all for a worker that has not answered for so long
    already: then raises BusyError. The job may still run."""
    if worker.unanswered_s >= seconds:
        raise BusyError(f"nothing was read for {worker.unanswered_s:.0f} s")
    answered = trio.Event()
    answer: outcome.Maybe[T] | None = None

    def done(result: outcome.Maybe[T]) -> None:
        nonlocal answer
        answer = result
        answered.set()

    worker.submit(job, done)
    with trio.move_on_after(seconds):
        await answered.wait()
    if answer is None:
        raise BusyError(f"it was not read within {seconds:.0f} s")
    result: T = answer.unwrap()
    return result
