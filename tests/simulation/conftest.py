"""Simulated runs: nothing is said in the log, and hypothesis draws the same examples every time."""

from __future__ import annotations

import pytest

from tests.simulation.world import quiet


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()
