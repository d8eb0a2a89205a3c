"""A reservation for a block, and the sweep that goes on beside."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gateway.rest.quotas import RESERVED_S, Quotas
from gateway.rest.reserving import SWEEP_S, keep_swept, reserving
from store.core.entropy import SystemRandom
from store.core.errors import InvalidError
from store.registry import OutcomeUnknownError, Put, UnavailableError, memory_registry
from tests.twins.clock import ManualClock


class Swept(Quotas):
    """Its first sweeps fail."""

    away = 0

    async def sweep(self, goes_on: object) -> int:
        if self.away:
            self.away -= 1
            raise UnavailableError("away")
        return await super().sweep(gone)


async def gone(_: str) -> bool:
    return False


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def quotas(clock: ManualClock) -> Swept:
    return Swept(memory_registry(clock), "volume", {"volumes": 3}, clock, SystemRandom())


async def standing(quotas: Quotas) -> tuple[int, int]:
    found = (await quotas.show("quarry"))["volumes"]
    return found.in_use, found.reserved


async def test_a_block_that_commits(quotas: Swept) -> None:
    async with reserving(quotas, "quarry", {"volumes": 2}) as reservation:
        assert await standing(quotas) == (0, 2)
        await quotas.commit(reservation, [Put(b"volume", b"")])
    assert await standing(quotas) == (2, 0)


async def test_a_block_that_fails_gives_back(quotas: Swept) -> None:
    with pytest.raises(InvalidError, match="no such type"):
        async with reserving(quotas, "quarry", {"volumes": 2}):
            raise InvalidError("no such type")
    assert await standing(quotas) == (0, 0)


async def test_a_commit_whose_answer_is_lost_stays(quotas: Swept) -> None:
    async def make() -> None:
        async with reserving(quotas, "quarry", {"volumes": 2}) as reservation:
            await quotas.commit(reservation)
            raise OutcomeUnknownError("the link broke")

    with pytest.raises(OutcomeUnknownError):
        await make()
    assert await standing(quotas) == (2, 0)


async def test_what_is_left_behind_is_swept(quotas: Swept, clock: ManualClock, autojump_clock: MockClock) -> None:
    await quotas.reserve("quarry", {"volumes": 1})
    clock.advance(RESERVED_S)
    await quotas.reserve("quarry", {"volumes": 1})
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_swept, quotas, gone)
        assert await standing(quotas) == (0, 1)
        clock.advance(RESERVED_S)
        quotas.away = 1
        await trio.sleep(SWEEP_S * 1.5)
        assert await standing(quotas) == (0, 1)
        await trio.sleep(SWEEP_S)
        assert await standing(quotas) == (0, 0)
        nursery.cancel_scope.cancel()
