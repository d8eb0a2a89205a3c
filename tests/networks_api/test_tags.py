"""Tags of everything that has them."""

from __future__ import annotations

import pytest

from compute_plugin.networks.v2.policy.table import network_policy
from compute_plugin.networks.v2.routes import COLLECTIONS
from tests.networks_api.cloud import Cloud


async def test_tags_are_set_added_checked_and_deleted(cloud: Cloud) -> None:
    path = f"/networks/{(await cloud.network())['id']}"
    added = await cloud.ask("PUT", f"{path}/tags/red")
    assert (added.status, added.body) == (201, b"")
    assert (await cloud.ask("PUT", f"{path}/tags/red")).status == 201
    assert (await cloud.ask("GET", f"{path}/tags")).json == {"tags": ["red"]}
    assert (await cloud.ask("GET", f"{path}/tags/red")).status == 204
    await cloud.refused(404, "TagNotFound", "GET", f"{path}/tags/blue")
    more = await cloud.ask("POST", f"{path}/tags", {"tags": ["a b", "red"]})
    assert (more.status, more.json) == (201, {"tags": ["a b", "red"]})
    assert (await cloud.ask("DELETE", f"{path}/tags/a b")).status == 204
    await cloud.refused(404, "TagNotFound", "DELETE", f"{path}/tags/a b")
    replaced = await cloud.ask("PUT", f"{path}/tags", {"tags": ["y", "x"]})
    assert (replaced.status, replaced.json) == (200, {"tags": ["x", "y"]})
    assert (await cloud.ask("GET", path)).json["network"]["tags"] == ["x", "y"]
    assert [one["tags"] for one in await cloud.listed("networks", "/networks?tags=x,y")] == [["x", "y"]]
    assert await cloud.listed("networks", "/networks?not-tags-any=x") == []
    assert (await cloud.ask("DELETE", f"{path}/tags")).status == 204
    assert (await cloud.ask("GET", f"{path}/tags")).json == {"tags": []}


async def test_only_whoever_may_change_a_thing_tags_it(cloud: Cloud) -> None:
    own, shared = await cloud.network("member@red"), await cloud.network("admin@red", shared=True)
    await cloud.refused(404, "TagResourceNotFound", "PUT", f"/networks/{own['id']}/tags/x")
    await cloud.refused(404, "TagResourceNotFound", "GET", "/networks/none/tags")
    for method, path in (("PUT", "tags/x"), ("PUT", "tags"), ("POST", "tags"), ("DELETE", "tags")):
        body: dict[str, list[str]] | None = {"tags": []} if path == "tags" else None
        await cloud.refused(403, "PolicyNotAuthorized", method, f"/networks/{shared['id']}/{path}", body)
    assert (await cloud.ask("GET", f"/networks/{shared['id']}/tags")).status == 200


async def test_there_are_not_too_many_tags_and_none_is_too_long(cloud: Cloud) -> None:
    path = f"/networks/{(await cloud.network())['id']}/tags"
    many = {"tags": [str(one) for one in range(50)]}
    assert (await cloud.ask("PUT", path, many)).status == 200
    await cloud.refused(400, "BadRequest", "PUT", f"{path}/x")
    await cloud.refused(400, "InvalidInput", "PUT", f"{path}/{'x' * 256}")
    for wrong in ({}, {"tags": "x"}, {"tags": [7]}, {"tags": ["x", "x"]}, {"tags": ["\ud800"]}, {"tags": None}):
        await cloud.refused(400, "InvalidInput", "PUT", path, wrong)
    assert len((await cloud.ask("GET", path)).json["tags"]) == 50


@pytest.mark.parametrize("kind", [one for one in COLLECTIONS if one.tagged], ids=lambda one: str(one.plural))
async def test_whatever_has_tags_shows_them_and_answers_below_it(cloud: Cloud, kind: object) -> None:
    found = next(one for one in COLLECTIONS if one is kind)
    assert "tags" in {one.name for one in found.attributes}
    assert found.line("update") in network_policy().operations
    await cloud.refused(404, "TagResourceNotFound", "GET", f"{found.path}/none/tags")
