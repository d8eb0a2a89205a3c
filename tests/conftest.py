"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import settings
from trio.testing import MockClock

# The same examples every time, and no test that fails because the machine is busy.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _same_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler draws the same in every run of a test: what fails, fails again. Other schedules are for the
    exploration (tests/simulation), which draws them from seeds."""
    state: Any = trio._core._run
    monkeypatch.setattr(state, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    state._r.seed(0)


@pytest.fixture
def autojump_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Time goes on whenever all tasks wait. It would not wait for threads: an hour is over before one has begun. So
    what is handed to one is done in its place."""

    async def at_once(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    return MockClock(autojump_threshold=0)
