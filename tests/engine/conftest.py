"""Hypothesis draws the same examples every time; the log is silent."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.simulation.world import quiet

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()
