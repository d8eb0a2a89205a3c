"""A short run of `hostile_routes`."""

from __future__ import annotations

import pytest

from tests.authn.hostile_routes import attack


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_is_answered_with_a_500(seed: int) -> None:
    statuses = await attack(seed, 1500)
    assert {200, 201, 400, 403, 404} <= statuses.keys()
