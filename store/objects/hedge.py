"""Hedged requests: some of several devices are asked at once, and as many answers waited for as are needed.

Where one fails, or does not answer within HEDGE_SECONDS, the next is asked as well (Dean and Barroso, The Tail at
Scale, 2013). So a device that hangs delays nobody who can do without it. Where the answers come at once, as they do of
what lies in memory, nothing is waited for: no task, no timer, no turn of the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

import trio

from store.core.errors import BusyError, DrystoneError
from store.core.waits import waited_for_device

HEDGE_SECONDS = 0.05
"""Far above what a disk that does its work takes, and little to whoever waits."""
READ_SECONDS = 10.0
"""After this, answers that are not there will not be."""

T = TypeVar("T")
Reply = Callable[[int, T | None, DrystoneError | None], None]
"""Called with who answers, and the answer; or with the reason why there is none."""


class Hedged(Generic[T]):
    """Used once: `ask`, and where that did not do, `wait`, by any number of tasks. Then `answers` has what was
    answered, and `failures` why the others did not; `waited` says whether the answers are of different moments."""

    __slots__ = (
        "_asked", "_hedged", "_hedges", "_latest", "_left", "_news", "_submit",
        "answers", "failures", "needed", "waited",
    )  # fmt: skip

    def __init__(self, sources: Iterable[int], needed: int, submit: Callable[[int, Reply[T]], None]) -> None:
        """`sources` in the order in which they are asked, and looked at no sooner; `submit` asks one, and may raise."""
        self._left = iter(sources)
        self._submit = submit
        self._asked: list[int] = []
        self._hedges = 0
        self._hedged = -READ_SECONDS
        self._latest = -1
        self._news: trio.Event | None = None
        self.needed = needed
        self.answers: dict[int, T] = {}
        self.failures: dict[int, DrystoneError] = {}
        self.waited = False

    def ask(self) -> bool:
        """Ask as many as are needed, and more for those that have failed; whether enough have answered."""
        asked, failures, submit, answered = self._asked, self.failures, self._submit, self._answered
        while self.needed + self._hedges > len(asked) - len(failures):  # a failure may change what is needed
            source = next(self._left, None)
            if source is None:
                break  # there is nobody else
            asked.append(source)
            try:
                submit(source, answered)
            except DrystoneError as error:
                self._failed(source, error)
        return self.enough

    async def wait(self) -> bool:
        """Wait until enough have answered; False where that is not to be. Who did not answer is among the failures."""
        self.waited = True
        since = now = trio.current_time()
        patience = HEDGE_SECONDS
        while not self.enough and self._silent and now < since + READ_SECONDS:
            if self._news is None or self._news.is_set():
                self._news = trio.Event()
            with trio.move_on_at(min(now + patience, since + READ_SECONDS)) as hedge:
                await self._news.wait()
            now = trio.current_time()
            if hedge.cancelled_caught and now >= self._hedged + patience:  # and no other task did that just now
                self._hedged = now
                self._late()
            self.ask()
            if self.needed + self._hedges + len(self.failures) > len(self._asked):
                patience = READ_SECONDS  # there is nobody else
        waited_for_device(self._device(self._waited_for()), since)
        if self.enough:
            return True
        for source in self._silent:
            self._failed(source, BusyError("it has not answered"))
        return False

    def _waited_for(self) -> int:
        """Whom the wait was for: one that is silent though others were asked in its place, or else the last to
        answer."""
        silent = self._silent
        return silent[0] if silent and (self._hedges or not self.enough) else self._latest

    def _device(self, source: int) -> int:
        """The device that a source is."""
        return source

    @property
    def enough(self) -> bool:
        """Whether no more answers are needed."""
        return len(self.answers) >= self.needed

    @property
    def _silent(self) -> list[int]:
        return [source for source in self._asked if source not in self.answers and source not in self.failures]

    def _late(self) -> None:
        """One of those that were asked is to be done without."""
        self._hedges += 1

    def _failed(self, source: int, error: DrystoneError) -> None:
        self.failures[source] = error

    def _answered(self, source: int, answer: T | None, error: DrystoneError | None) -> None:
        self._latest = source
        if error is not None:
            self._failed(source, error)
        else:
            self.answers[source] = answer  # type: ignore[assignment]  # None is an answer where T has it
        if self._news is not None:
            self._news.set()


async def ask_at_once(
    sources: Iterable[int], needed: int, ask: Callable[[int], Awaitable[T]]
) -> tuple[dict[int, T], dict[int, DrystoneError]]:
    """(answers, failures) of calls that are awaited: so many at once, and more where some fail or are late. What is
    still under way when enough have answered is cancelled."""
    async with trio.open_nursery() as nursery:

        async def one(source: int, reply: Reply[T]) -> None:
            try:
                answer = await ask(source)
            except DrystoneError as error:
                reply(source, None, error)
            else:
                reply(source, answer, None)

        asked: Hedged[T] = Hedged(sources, needed, lambda source, reply: nursery.start_soon(one, source, reply))
        if not asked.ask():
            await asked.wait()
        nursery.cancel_scope.cancel()
    return asked.answers, asked.failures
