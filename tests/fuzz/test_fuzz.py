"""Near-valid conversations with the whole surface: no 500, no hang, nothing left behind.

More of the same for as long as one likes: `python -m tests.fuzz`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.asking import Conversation
from tests.fuzz.damage import conversations
from tests.fuzz.rounds import over_devices, over_memory
from tests.fuzz.surface import CAST

few = st.lists(conversations(CAST), min_size=1, max_size=3)
fixed = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(few)
@settings(fixed, max_examples=200)
def test_over_a_store_in_memory(held: list[Conversation]) -> None:
    over_memory(held)


@given(few)
@settings(fixed, max_examples=30)
def test_over_simulated_devices(held: list[Conversation]) -> None:
    over_devices(held)
