"""The protocol keeps its promises in the model; and the exploration that says so notices when a rule is left out. More
seeds: `make consistency SEEDS=10000`."""

from __future__ import annotations

import pytest

from tests.consistency.explore import catch, explore_seed
from tests.consistency.world import WEATHERS

SEEDS = 20
OFTEN_NOTICED = (
    "conditional_write_repeated",
    "layout_retired_early",
    "older_epochs_answered",
    "older_stamp_taken",
    "one_replica_is_a_write",
    "one_reply_is_a_read",
    "retried_above_at_once",
    "stale_disk_believed",
    "write_back_missing",
    "written_without_a_look",
)
"""Within some tens of seeds; `make consistency` plants all."""


@pytest.mark.parametrize("weather", sorted(WEATHERS))
def test_what_clients_see_can_be_explained(weather: str) -> None:
    for seed in range(SEEDS):
        explore_seed(seed, weather)


@pytest.mark.parametrize(
    ("seed", "weather"),
    [
        (345, ""),  # read in the old layout, missing in the new one
        (191, ""),  # a tombstone that was retired was taken for no version at all
    ],
)
def test_seeds_that_failed_once(seed: int, weather: str) -> None:
    explore_seed(seed, weather)


def test_a_seed_goes_the_same_way_twice() -> None:
    assert explore_seed(7) == explore_seed(7) != explore_seed(8)


@pytest.mark.parametrize("name", OFTEN_NOTICED)
def test_a_planted_mistake_is_noticed(name: str) -> None:
    assert catch(name)[1] is not None
