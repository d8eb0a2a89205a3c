"""Whose life is over, by what the registry says, and who is asked for pins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from drystone.lives import GRACE_SECONDS, Lives
from drystone.members import LEASE_SECONDS, stay_live
from drystone.node_records import LIFE_CODEC, Life, live_key
from store.core.clock import Clock
from store.core.errors import BusyError
from store.registry import Registry, memory_registry
from store.registry.single_key import delete, put
from store.ring import Ring
from tests.simulation.node import make_ring
from tests.simulation.world import SimClock

OWN, OTHER = Life(b"own", "1"), Life(b"other", "1")
PINS = object()


class Known:
    """What a process has beside the registry."""

    def __init__(self, clock: Clock) -> None:
        self.registry: Registry = memory_registry(clock)
        self.ring: Ring = make_ring(3, {3})
        self.devices: dict[int, Any] = {number: SimpleNamespace(enforced=0) for number in range(3)}
        self.processes: dict[str, Any] = {"n2": SimpleNamespace(pins=PINS)}
        self.lives = Lives(self.registry, "n1", lambda: self.processes, self.devices, self._load_ring)
        self.ended = 0
        self.lives.on_over = self._over

    async def _load_ring(self) -> Ring:
        return self.ring

    async def _over(self) -> None:
        self.ended += 1


async def test_a_life_is_over_with_its_lease(autojump_clock: MockClock) -> None:
    known = Known(SimClock())
    assert not known.lives.is_over(b"anybody"), "nothing is known yet"
    assert not known.lives.is_away("n2"), "nothing is known yet"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cast(Any, known.registry).run)
        await nursery.start(stay_live, known.registry, "n1", OWN)
        scope = trio.CancelScope()

        async def other() -> None:
            with scope:
                await stay_live(known.registry, "n2", OTHER)

        nursery.start_soon(other)
        await trio.sleep(1)
        await known.lives.load()
        nursery.start_soon(known.lives.run)
        assert not known.lives.is_over(OTHER.id)
        assert not known.lives.is_over(b"somebody before"), "it may say so yet"
        assert not known.lives.is_away("n3"), "it may say so yet"
        await trio.sleep(GRACE_SECONDS + 1)
        assert known.lives.is_over(b"somebody before")
        assert known.ended == 1, "for all who lived before"
        assert [known.lives.is_away(name) for name in ("n1", "n2", "n3")] == [False, False, True]
        assert list(await known.lives.others()) == [PINS]
        scope.cancel()
        await trio.sleep(LEASE_SECONDS)
        assert not known.lives.is_over(OTHER.id)
        assert not known.lives.is_away("n2"), "it may be cut off from the registry alone"
        assert list(await known.lives.others()) == [PINS], "it may need data yet"
        await trio.sleep(2 * GRACE_SECONDS)
        assert known.ended == 2
        assert known.lives.is_over(OTHER.id)
        assert [known.lives.is_away(name) for name in ("n1", "n2")] == [False, True]
        assert not known.lives.is_over(OWN.id)
        assert list(await known.lives.others()) == []
        nursery.cancel_scope.cancel()


async def test_who_says_again_that_it_lives_was_never_over(autojump_clock: MockClock) -> None:
    """All leases end unheard where the registry was away for long."""
    known = Known(SimClock())
    async with trio.open_nursery() as nursery:
        await live(known, OTHER)
        await known.lives.load()
        nursery.start_soon(known.lives.run)
        await trio.sleep(2 * GRACE_SECONDS)
        ended = known.ended
        await delete(known.registry, live_key("n2"))
        await trio.sleep(GRACE_SECONDS - 1)
        await live(known, OTHER)
        await trio.sleep(3 * GRACE_SECONDS)
        assert not known.lives.is_over(OTHER.id)
        assert known.ended == ended
        nursery.cancel_scope.cancel()


async def test_where_another_process_of_a_node_lives_the_one_before_is_over_at_once(autojump_clock: MockClock) -> None:
    known = Known(SimClock())
    async with trio.open_nursery() as nursery:
        await live(known, OTHER)
        await known.lives.load()
        nursery.start_soon(known.lives.run)
        await trio.sleep(2 * GRACE_SECONDS)
        ended = known.ended
        await live(known, Life(b"next", "1"))
        await trio.sleep(1)
        assert known.lives.is_over(OTHER.id)
        assert not known.lives.is_over(b"next")
        assert known.ended == ended + 1
        nursery.cancel_scope.cancel()


async def live(known: Known, life: Life) -> None:
    """n2 says that this is its life."""
    await put(known.registry, live_key("n2"), LIFE_CODEC.encode(life))


async def test_who_lives_and_cannot_be_asked_is_said(autojump_clock: MockClock) -> None:
    known = Known(SimClock())
    known.processes.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cast(Any, known.registry).run)
        await nursery.start(stay_live, known.registry, "n1", OWN)
        assert list(await known.lives.others()) == []
        await nursery.start(stay_live, known.registry, "n2", OTHER)
        with pytest.raises(BusyError, match="n2"):
            await known.lives.others()
        nursery.cancel_scope.cancel()


async def test_a_life_is_silent_when_every_device_refuses_the_rings_that_it_knew(autojump_clock: MockClock) -> None:
    known = Known(SimClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cast(Any, known.registry).run)
        await known.lives.load()
        nursery.start_soon(known.lives.run)
        await trio.sleep(GRACE_SECONDS + 1)
        assert known.lives.is_over(b"gone")
        epoch = known.ring.epoch
        assert not known.lives.is_silent(b"gone")
        known.ring = known.ring.collect()
        await known.lives.load()
        for number in (0, 1):
            known.devices[number].enforced = known.ring.epoch
        assert not known.lives.is_silent(b"gone")
        known.devices[2].enforced = epoch
        assert not known.lives.is_silent(b"gone"), "it may have known that one"
        known.devices[2].enforced = known.ring.epoch
        assert known.lives.is_silent(b"gone")
        del known.devices[2]
        assert not known.lives.is_silent(b"gone"), "one that is away does not refuse it yet"
        nursery.cancel_scope.cancel()
