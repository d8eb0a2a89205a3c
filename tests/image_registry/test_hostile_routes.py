"""A short run of `hostile_routes`."""

from __future__ import annotations

import pytest
import trio.testing

from image_registry.v2.routes import ROUTES
from tests.image_registry.cloud import Cloud
from tests.image_registry.hostile_routes import NOBODY, PLAUSIBLE, attack


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_is_answered_with_a_500(seed: int, autojump_clock: trio.testing.MockClock) -> None:
    statuses = await attack(seed, 4000)
    assert {200, 201, 202, 204, 400, 401, 403, 404, 409} <= statuses.keys()


async def test_nobody_without_a_token_is_told_anything(cloud: Cloud) -> None:
    """At every route, whatever else is wrong with the request."""
    image = await cloud.active(visibility="shared")
    for path, handlers in ROUTES.items():
        known = (
            path.replace("{image_id}", image["id"]).replace("{store_id}", "standard").replace("{", "").replace("}", "")
        )
        for method in handlers:
            for body in (None, *PLAUSIBLE.get((method, path), ({},))):
                answer = await cloud.ask(method, known, body, NOBODY)
                assert answer.status == 401, (method, path, body, answer.status)


def test_every_route_that_reads_a_body_has_one() -> None:
    reads = {(method, path) for path, handlers in ROUTES.items() for method in handlers if method in ("PUT", "PATCH")}
    tags = {("PUT", "/v2/images/{image_id}/tags/{tag}"), ("PUT", "/v2/cache/{image_id}")}
    assert reads - tags <= PLAUSIBLE.keys()
