"""Every form of the registry, for the tests that all of them must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
import trio

from store.registry import memory_registry, open_embedded
from store.registry.local import LocalRegistry

HISTORY_EVENTS = 16
"""Few, so that tests reach the end of what is kept."""


class TrioClock:
    """Time as trio tells it, which a test moves with MockClock."""

    def wall_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


Opener = Callable[[], AbstractContextManager[LocalRegistry]]


@pytest.fixture(params=["memory", "embedded"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens a form of the registry; the embedded one keeps its state from one opening to the next."""
    if request.param == "memory":
        return lambda: nullcontext(memory_registry(TrioClock(), history_events=HISTORY_EVENTS))
    return embedded_opener(tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Opener:
    return embedded_opener(tmp_path)


def embedded_opener(path: Path) -> Opener:
    @contextmanager
    def opened() -> Iterator[LocalRegistry]:
        with open_embedded(str(path / "registry"), TrioClock(), history_events=HISTORY_EVENTS) as registry:
            yield registry

    return opened


@pytest.fixture
async def registry(opener: Opener, nursery: trio.Nursery) -> AsyncIterator[LocalRegistry]:
    with opener() as registry:
        nursery.start_soon(registry.run)
        yield registry
        nursery.cancel_scope.cancel()
