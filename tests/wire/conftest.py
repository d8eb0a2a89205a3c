"""The log is silent."""

from __future__ import annotations

import pytest

from tests.simulation.world import quiet


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()
