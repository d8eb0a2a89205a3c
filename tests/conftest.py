"""What holds for all tests."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import settings

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
