"""A fresh store of each form, on simulated disks and in simulated time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest
import trio.testing

from store.objects.interface import ObjectStore
from store.objects.model import Container, Policy
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, open_node
from tests.simulation.world import SimClock, quiet
from tests.twins.objects import MemoryStore

POLICIES = (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec"))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


@pytest.fixture(params=["memory", "devices"])
async def store(request: pytest.FixtureRequest, autojump_clock: trio.testing.MockClock) -> AsyncIterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryStore(SimClock(), POLICIES)
        return
    async with open_node(SimMedia(Random(1), 4, POLICIES), CrashPoint()) as node:
        yield node.store


@pytest.fixture
async def container(store: ObjectStore) -> Container:
    await store.put_account("a", {})
    made, _ = await store.put_container("a", "c", {})
    return made
