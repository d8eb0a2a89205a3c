"""What the exploration counts is what the program has: a function that was renamed is noticed here, not at night."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.coverage import PATHS, Path, counted
from tests.simulation.explore import explore_seed
from tests.simulation.fleet.paths import FLEET_PATHS


@pytest.mark.parametrize("paths", [PATHS, FLEET_PATHS], ids=["of one process", "of clusters"])
def test_a_path_that_is_entered_is_counted(paths: dict[str, Path]) -> None:
    entered: Counter[str] = Counter()
    with counted(entered, paths):
        explore_seed("objects", 1)
    assert entered, "nothing was counted"
    assert entered.keys() <= paths.keys()
