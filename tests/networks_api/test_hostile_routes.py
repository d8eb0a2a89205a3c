"""A short run of `hostile_routes`, and what strangers get to know by such requests: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from compute_plugin.networks.records.port import FLOATING_IP, ROUTER_GATEWAY
from compute_plugin.networks.records.records import Records
from tests.networks_api.cloud import Cloud
from tests.networks_api.hostile_routes import Drawn, attack, furnish

BLUE = ("manager@blue", "member@blue", "reader@blue")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_request_is_answered_with_a_500_and_all_fits_together_after_it(seed: int) -> None:
    statuses = await attack(seed, 1500)
    assert {200, 201, 204, 400, 401, 403, 404, 409} <= statuses.keys()


def of_red(records: Records) -> dict[str, Any]:
    """What is red's, and what its routers and floating addresses have outside."""
    found = {one.id: one for table in records.tables() for one in table if one.project_id == "red"}
    for port in records.ports:
        if port.device_owner in (ROUTER_GATEWAY, FLOATING_IP) and port.device_id in found:
            found[port.id] = port
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_who_asks_about_what_is_not_theirs_is_told_nothing_and_changes_nothing(cloud: Cloud, seed: int) -> None:
    await furnish(cloud)
    drawn = Drawn(seed, BLUE)
    before, done, kept = of_red(cloud.service.store.records), 0, set[str]()
    for number in range(2500):
        if number % 20 == 0:
            drawn.see(cloud.service.store.records)
        at = cloud.service.store.revision
        method, path, body, token, headers = drawn.request()
        answer = await cloud.ask(method, path, body, token, headers)
        said = f"seed {seed}, {number}: {token} {method} {path} {body}: {answer.status} {answer.body!r}"
        told, asked = answer.body.decode(), f"{path} {body}"
        assert not [one for one in before if one in told and one not in asked and one not in kept], said
        assert "10.1.0." not in told or "10.1.0." in asked, said
        assert answer.status >= 400 or not [one for one in before if one in path], said
        if cloud.service.store.revision != at:
            done += 1
            kept |= {one for one in before if one in asked}  # some attributes are whatever text somebody likes
            assert of_red(cloud.service.store.records) == before, said
            assert method == "GET" or not token.startswith("reader"), said
    assert done > 50
