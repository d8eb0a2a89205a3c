"""A fresh store of each form, on simulated disks and in simulated time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest
import trio.testing

from store.core.errors import DrystoneError
from store.device.port import SLOW_SECONDS
from store.objects.interface import ObjectStore
from store.objects.model import Container, Policy
from tests.answering import AT_ONCE, LATE, ONE_NEVER, OVER_WIRE, SILENT, answer, answers
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, open_node
from tests.simulation.world import SimClock, quiet
from tests.twins.objects import MemoryStore

POLICIES = (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec"))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    answers(metafunc)
    if "store" in metafunc.fixturenames:
        all_needed = metafunc.definition.get_closest_marker("needs_all_devices") is not None
        stores = [name for name, way in STORES.items() if not (all_needed and way == ONE_NEVER)]
        metafunc.parametrize("store", stores, indirect=True)


@pytest.fixture(autouse=True)
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """How devices answer."""
    way: str = getattr(request, "param", AT_ONCE)
    # Its own: a test may undo what it has patched in the middle.
    with pytest.MonkeyPatch.context() as patch:
        answer(patch, way)
        yield way


STORES = {
    "memory": None,
    "devices": AT_ONCE,
    "devices that answer late": LATE,
    "devices behind links": OVER_WIRE,
    "devices one of which never answers": ONE_NEVER,
}


@pytest.fixture
async def store(
    request: pytest.FixtureRequest, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ObjectStore]:
    way = STORES[request.param]
    if way is None:
        yield MemoryStore(SimClock(), POLICIES)
        return
    answer(monkeypatch, way)
    async with open_node(SimMedia(Random(1), 4, POLICIES), CrashPoint()) as node:
        if way == ONE_NEVER:  # and it has been noticed, since some data need all devices that are chosen for them
            node.store.devices[SILENT].submit_find(b"", node.store.rows.ring.epoch, _ignore)
            await trio.sleep(SLOW_SECONDS)
        yield node.store


def _ignore(_device: int, _value: bytes | None, _error: DrystoneError | None) -> None:
    """It never comes."""


@pytest.fixture
async def container(store: ObjectStore) -> Container:
    await store.put_account("a", {})
    made, _ = await store.put_container("a", "c", {})
    return made
