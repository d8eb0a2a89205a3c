"""Whose turn it is."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from authn.fair_line import Caller, FairLine
from store.core.errors import BusyError


class Crowd:
    """Callers at a line of one turn at once, and in which order they had theirs."""

    def __init__(self, nursery: trio.Nursery, waiting_max: int = 64) -> None:
        self.line = FairLine(1, waiting_max)
        self.order: list[str] = []
        self.refused: list[str] = []
        self._nursery = nursery
        self._gate = trio.Event()

    async def come(self, *callers: Caller) -> None:
        """One behind the other. The very first has its turn until `go`."""
        for caller in callers:
            self._nursery.start_soon(self._one, caller)
            await wait_all_tasks_blocked()

    async def go(self) -> list[str]:
        self._gate.set()
        await wait_all_tasks_blocked()
        return self.order

    async def _one(self, caller: Caller) -> None:
        try:
            async with self.line.turn(caller):
                self.order.append(caller.address + caller.name)
                await self._gate.wait()
        except BusyError:
            self.refused.append(caller.address + caller.name)


async def test_addresses_have_their_turns_by_turns(nursery: trio.Nursery) -> None:
    crowd = Crowd(nursery)
    await crowd.come(Caller("0", ""))
    await crowd.come(*[Caller("a", str(number)) for number in range(4)], Caller("b", "0"), Caller("c", "0"))
    assert await crowd.go() == ["0", "a0", "b0", "c0", "a1", "a2", "a3"]


async def test_names_have_theirs_at_each_address(nursery: trio.Nursery) -> None:
    crowd = Crowd(nursery)
    await crowd.come(Caller("0", ""), *[Caller("a", "x")] * 3, Caller("a", "y"))
    assert await crowd.go() == ["0", "ax", "ay", "ax", "ax"]


async def test_ever_new_addresses_do_not_push_back_who_waits(nursery: trio.Nursery) -> None:
    crowd = Crowd(nursery)
    await crowd.come(Caller("0", ""), Caller("a", "x"), Caller("a", "x"), *[Caller(str(n), "new") for n in range(1, 4)])
    assert await crowd.go() == ["0", "ax", "1new", "2new", "3new", "ax"]


async def test_familiar_ones_go_first_and_strangers_have_every_fourth_turn(nursery: trio.Nursery) -> None:
    crowd = Crowd(nursery)
    await crowd.come(Caller("0", ""), *[Caller("a", "x")] * 3, *[Caller("f", "y", familiar=True)] * 5)
    assert await crowd.go() == ["0", "fy", "fy", "fy", "ax", "fy", "fy", "ax", "ax"]


async def test_of_a_full_line_the_longest_share_is_refused(nursery: trio.Nursery) -> None:
    crowd = Crowd(nursery, waiting_max=3)
    await crowd.come(Caller("0", ""), *[Caller("a", "x")] * 4)
    assert crowd.refused == ["ax"]
    await crowd.come(Caller("a", "y"))
    assert crowd.refused == ["ax", "ax"]
    await crowd.come(Caller("b", "z"), Caller("c", "z"), Caller("d", "z"))
    assert crowd.refused[2:] == ["ax", "ax", "dz"]
    assert len(await crowd.go()) == 4


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.booleans(), st.booleans()), max_size=30),
    st.integers(1, 3),
)
def test_every_turn_is_given_back(comers: list[tuple[str, str, bool, bool]], at_once: int) -> None:
    """Whoever leaves, at whatever moment: nobody waits for ever, and never do more than so many work."""

    async def main() -> None:
        line = FairLine(at_once, 5)
        working = worst = 0

        async def one(caller: Caller, scope: trio.CancelScope) -> None:
            nonlocal working, worst
            with scope:
                try:
                    async with line.turn(caller):
                        working += 1
                        worst = max(worst, working)
                        try:
                            await trio.sleep(1)
                        finally:
                            working -= 1
                except BusyError:
                    pass

        async with trio.open_nursery() as nursery:
            for number, (address, name, familiar, leaves) in enumerate(comers):
                scope = trio.CancelScope(deadline=trio.current_time() + number % 3 if leaves else float("inf"))
                nursery.start_soon(one, Caller(address, name, familiar), scope)
                if number % 2:
                    await trio.sleep(0.5)
        assert worst <= at_once
        assert line._free == at_once
        assert line._familiar.count == line._strangers.count == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_who_leaves_in_the_moment_of_their_turn_passes_it_on(nursery: trio.Nursery) -> None:
    line = FairLine(1, 5)
    had: list[str] = []

    async def one(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with line.turn(Caller("a", name)):
                had.append(name)

    scope = trio.CancelScope()
    async with line.turn(Caller("a", "first")):
        nursery.start_soon(one, "second", scope)
        await wait_all_tasks_blocked()
        nursery.start_soon(one, "third", trio.CancelScope())
        await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    assert had[-1] == "third"
    assert line._free == 1
