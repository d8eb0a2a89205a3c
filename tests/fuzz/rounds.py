"""One example: a fresh surface, some clients at once, and a look at what is left when they are gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random

import trio

from store.objects.model import Policy
from tests.fuzz.asking import Conversation
from tests.fuzz.surface import Surface, open_surface
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, open_node
from tests.simulation.world import SimClock, run
from tests.twins.clock import ManualClock
from tests.twins.objects import MemoryStore

POLICIES = (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec"))

_CARE_S = 10.0
"""Simulated seconds in which the store's loops end what was given up half-way."""

Round = Callable[[Sequence[Conversation]], list[int]]
"""Has the conversations, and gives the statuses of all answers."""


async def _converse(surface: Surface, conversations: Sequence[Conversation]) -> list[int]:
    await surface.probe()
    surface.statuses.clear()
    before = surface.held()
    async with trio.open_nursery() as nursery:
        for conversation in conversations:
            nursery.start_soon(surface.hold, conversation)
    statuses = list(surface.statuses)
    await surface.probe()
    await trio.sleep(_CARE_S)
    after = surface.held()
    assert after == before, f"still held: {after}, and there were {before}"
    assert not surface.troubles.found, surface.troubles.found
    return statuses


def over_memory(conversations: Sequence[Conversation]) -> list[int]:
    """Over the object store's contract in dictionaries."""

    async def main() -> list[int]:
        clock = ManualClock(tick_us=10)
        store = MemoryStore(clock, POLICIES)

        def held() -> dict[str, int]:
            return {"uploads": store.uploads_begun - store.uploads_left}

        async with open_surface(store, clock, held) as surface:
            return await _converse(surface, conversations)

    return _run(main)


def over_devices(conversations: Sequence[Conversation]) -> list[int]:
    """Over the object store itself, on simulated disks."""

    async def main() -> list[int]:
        async with open_node(SimMedia(Random(1), 3, POLICIES), CrashPoint()) as node:
            store = node.store

            def held() -> dict[str, int]:
                return {
                    "pins": len(store.pins),
                    "turns": len(store.rows._locks._waiting),
                    "buffers": -store._pool._slots.value,
                }

            async with open_surface(store, SimClock(), held) as surface:
                return await _converse(surface, conversations)

    return _run(main)


def _run(main: Callable[[], Awaitable[list[int]]]) -> list[int]:
    return run(main, Random(0))
