"""Checks that many requests share: each is told what was so after it asked, and by few questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from store.device.row import STAMP_BYTES
from store.objects.hedge import HEDGE_SECONDS
from store.objects.quorum_check import SharedChecks, Versions
from store.objects.quorum_read import QuorumRead

NEW, OLD = b"n" * STAMP_BYTES, b"o" * STAMP_BYTES
WHICH: Versions = ((b"account", NEW), (b"container", NEW))


class Replica:
    """One that answers when it is told to, with what it has when it was asked."""

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self.in_sync = True
        self.stamp = NEW
        self.asked = 0
        self._replies: list[Callable[[], None]] = []

    def submit_find(self, _packed: bytes, _epoch: int, reply: Callable[..., None]) -> None:
        self.asked += 1
        value = self.stamp + b"row"
        self._replies.append(lambda: reply(self._number, value, None))

    def answer(self) -> None:
        replies, self._replies = self._replies, []
        for reply in replies:
            reply()


@pytest.fixture
def replica() -> Replica:
    return Replica()


@pytest.fixture
def checks(replica: Replica) -> SharedChecks:
    def read(packed: bytes) -> QuorumRead:
        return QuorumRead([0], {0: replica}, packed, 1)  # type: ignore[dict-item]

    return SharedChecks(read)


async def waiting(nursery: trio.Nursery, said: list[bool], holds: Callable[[], Awaitable[bool]]) -> None:
    async def wait() -> None:
        said.append(await holds())

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()


async def test_those_that_come_while_one_is_under_way_share_the_next(replica: Replica, checks: SharedChecks) -> None:
    said: list[bool] = []
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            await waiting(nursery, said, checks.ask(WHICH))
        assert replica.asked == len(WHICH), "one is under way"
        replica.answer()
        await wait_all_tasks_blocked()
        assert said == [True]
        assert replica.asked == 2 * len(WHICH), "and one more is for the other four"
        replica.answer()
    assert said == [True] * 5
    checks.ask(WHICH)
    assert replica.asked == 3 * len(WHICH), "what is over answers for nobody"


async def test_nobody_is_told_of_what_was_so_before_they_asked(replica: Replica, checks: SharedChecks) -> None:
    said: list[bool] = []
    async with trio.open_nursery() as nursery:
        await waiting(nursery, said, checks.ask(WHICH))
        replica.stamp = OLD  # another version, from here on
        await waiting(nursery, said, checks.ask(WHICH))
        replica.answer()
        await wait_all_tasks_blocked()
        assert said == [True]
        replica.answer()
    assert said == [True, False]


async def test_the_next_is_asked_although_nobody_waits_for_the_one_before(
    replica: Replica, checks: SharedChecks
) -> None:
    said: list[bool] = []
    checks.ask(WHICH)  # whose request has come to nothing meanwhile
    async with trio.open_nursery() as nursery:
        await waiting(nursery, said, checks.ask(WHICH))
        replica.answer()
        await wait_all_tasks_blocked()
        assert replica.asked == 2 * len(WHICH)
        replica.answer()
    assert said == [True]


async def test_who_goes_away_leaves_the_others_waiting_for_nothing(replica: Replica, checks: SharedChecks) -> None:
    said: list[bool] = []
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as leaving:
                await waiting(leaving, said, checks.ask(WHICH))
                await waiting(leaving, said, checks.ask(WHICH))  # it would have asked the next one
                await waiting(nursery, said, checks.ask(WHICH))
                scope.cancel()
        replica.answer()
        await wait_all_tasks_blocked()
        replica.answer()
    assert said == [True]


async def test_other_versions_are_another_question(replica: Replica, checks: SharedChecks) -> None:
    checks.ask(WHICH)
    checks.ask(((b"account", OLD), (b"container", NEW)))
    assert replica.asked == 2 * len(WHICH)


async def test_where_nobody_answers_all_are_told_no(
    autojump_clock: MockClock, replica: Replica, checks: SharedChecks
) -> None:
    said: list[bool] = []
    async with trio.open_nursery() as nursery:
        for _ in range(3):

            async def wait() -> None:
                said.append(await checks.ask(WHICH)())

            nursery.start_soon(wait)
    assert said == [False] * 3


async def test_many_that_wait_for_one_that_is_late_ask_one_more_and_not_one_each(autojump_clock: MockClock) -> None:
    replicas = [Replica(number) for number in range(5)]
    read = QuorumRead(range(5), dict(enumerate(replicas)), b"row", 1)  # type: ignore[arg-type]
    assert not read.ask()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(read.wait)
        await trio.sleep(1.5 * HEDGE_SECONDS)
        assert sum(replica.asked for replica in replicas) == 4
        for replica in replicas:
            replica.answer()
