"""The exploration catches planted bugs; the same seeds pass without them (test_crashes).

Those that only the composed workload catches, or that of clusters, mostly take many seeds: `make explore-mutations`
plants them all.
"""

from __future__ import annotations

import pytest

from tests.simulation.explore import explore_seed
from tests.simulation.mutations import MUTATIONS

MANY_SEEDS = {"composed", "fleet"}
QUICK = {"read-quorum-of-several", "reply-of-another-request", "sync-skipped-on-one"}
"""Of these workloads: the first seed catches them."""


@pytest.mark.parametrize(
    "name", sorted(name for name, planted in MUTATIONS.items() if name in QUICK or planted.workload not in MANY_SEEDS)
)
def test_a_planted_bug_is_caught(name: str) -> None:
    planted = MUTATIONS[name]
    with planted.plant():
        for seed in range(planted.seeds):
            try:
                explore_seed(planted.workload, seed)
            except Exception:
                return
    pytest.fail(f"{planted.seeds} seeds of {planted.workload} passed with the bug {name}")
