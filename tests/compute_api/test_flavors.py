"""Flavors: lists, sizes, who may use them, extra specs."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from store.registry import memory_registry
from tests.compute_api.cloud import Cloud
from tests.twins.clock import ManualClock

BODY = {"name": "large one", "ram": 1024, "vcpus": "2", "disk": 10}
PUBLIC = "os-flavor-access:is_public"


async def create(cloud: Cloud, *, version: str = "2.96", private: bool = False, **asked: Any) -> dict[str, Any]:
    body = {"flavor": {**BODY, PUBLIC: not private, **asked}}
    found: dict[str, Any] = (await cloud.done("POST", "/flavors", body, version))["flavor"]
    return found


async def names(cloud: Cloud, query: str = "", token: str = "member@blue") -> list[str]:
    return [one["name"] for one in (await cloud.got(f"/flavors{query}", token))["flavors"]]


async def test_a_new_cloud_has_the_usual_flavors_once() -> None:
    registry = memory_registry(ManualClock())
    async with trio.open_nursery() as nursery:
        cloud = Cloud(registry)
        await nursery.start(cloud.service.run)
        assert await names(cloud) == ["m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"]
        await cloud.done("DELETE", "/flavors/3")
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        again = Cloud(registry)
        await nursery.start(again.service.run)
        assert await names(again) == ["m1.tiny", "m1.small", "m1.large", "m1.xlarge"]
        nursery.cancel_scope.cancel()


async def test_a_flavor_is_made_shown_and_deleted(cloud: Cloud) -> None:
    body = {**BODY, "id": "big", "swap": 512, "OS-FLV-EXT-DATA:ephemeral": 3}
    made = (await cloud.done("POST", "/flavors", {"flavor": body}))["flavor"]
    assert made | {"links": []} == {
        "id": "big", "name": "large one", "ram": 1024, "vcpus": 2, "disk": 10, "swap": 512,
        "OS-FLV-EXT-DATA:ephemeral": 3, "OS-FLV-DISABLED:disabled": False, "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0, "description": None, "extra_specs": {}, "links": [],
    }  # fmt: skip
    assert (await cloud.got("/flavors/big"))["flavor"] == made
    answer = await cloud.admin("DELETE", "/flavors/big")
    assert (answer.status, answer.body) == (202, b"")
    assert "big" in await cloud.refused(404, "GET", "/flavors/big")
    await cloud.refused(404, "DELETE", "/flavors/big")


async def test_what_is_shown_goes_by_the_microversion(cloud: Cloud) -> None:
    made = await create(cloud, version="2.1", id=77)
    assert made["id"] == "77"
    assert made["swap"] == ""
    assert "description" not in made
    at = [set((await cloud.got("/flavors/77", version=one))["flavor"]) for one in ("2.54", "2.55", "2.60", "2.61")]
    assert at[1] - at[0] == {"description"}
    assert at[3] - at[2] == {"extra_specs"}
    assert (await cloud.got("/flavors/77", version="2.75"))["flavor"]["swap"] == 0
    assert set((await cloud.got("/flavors", version="2.1"))["flavors"][0]) == {"id", "name", "links"}
    assert (await cloud.got("/flavors/77", version="2.1"))["flavor"]["links"] == [
        {"rel": "self", "href": "http://cloud:8080/compute/v2.1/flavors/77"},
        {"rel": "bookmark", "href": "http://cloud:8080/compute/flavors/77"},
    ]


async def test_a_description_is_changed_from_2_55_on(cloud: Cloud) -> None:
    await create(cloud, id="big", description="of old")
    body = {"flavor": {"description": "of new"}}
    assert (await cloud.done("PUT", "/flavors/big", body))["flavor"]["description"] == "of new"
    assert (await cloud.done("PUT", "/flavors/big", {"flavor": {"description": None}}))["flavor"]["description"] is None
    await cloud.refused(404, "PUT", "/flavors/big", body, version="2.54")
    await cloud.refused(400, "PUT", "/flavors/big", {"flavor": {"name": "x"}})
    await cloud.refused(404, "PUT", "/flavors/none", body)
    await cloud.refused(403, "PUT", "/flavors/big", body, token="manager@blue")


async def test_an_id_and_a_name_are_taken_once(cloud: Cloud) -> None:
    await create(cloud, id="big")
    assert "already exists" in await cloud.refused(409, "POST", "/flavors", {"flavor": BODY})
    other = {"flavor": {**BODY, "name": "other", "id": "big"}}
    assert "already exists" in await cloud.refused(409, "POST", "/flavors", other)
    made = await create(cloud, name="other")
    assert len(made["id"]) == 36


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""}, {"name": " x"}, {"name": "x" * 256}, {"name": "a\nb"}, {"name": None}, {"name": 5},
        {"ram": 0}, {"ram": -1}, {"ram": "many"}, {"ram": 2**31}, {"ram": True}, {"ram": 1.5},
        {"vcpus": 0}, {"disk": -1}, {"swap": -1}, {"OS-FLV-EXT-DATA:ephemeral": -1},
        {"id": "a/b"}, {"id": " a"}, {"id": "x" * 256}, {"id": ""}, {"id": True}, {"id": []},
        {"rxtx_factor": 0}, {"rxtx_factor": "x"}, {"rxtx_factor": -1}, {"rxtx_factor": 1e39},
        {"os-flavor-access:is_public": "perhaps"}, {"description": 5}, {"description": "\x07"}, {"unknown": 1},
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused(cloud: Cloud, asked: dict[str, Any]) -> None:
    await cloud.refused(400, "POST", "/flavors", {"flavor": {**BODY, **asked}})


async def test_the_body_has_to_be_whole(cloud: Cloud) -> None:
    for name in BODY:
        asked = {key: value for key, value in BODY.items() if key != name}
        assert name in await cloud.refused(400, "POST", "/flavors", {"flavor": asked})
    await cloud.refused(400, "POST", "/flavors", {"flavour": BODY})
    await cloud.refused(400, "POST", "/flavors", {"flavor": BODY, "more": 1})
    await cloud.refused(400, "POST", "/flavors", {"flavor": {**BODY, "description": "x"}}, version="2.54")


async def test_administrators_alone_manage_flavors(cloud: Cloud) -> None:
    for token in ("member@blue", "manager@blue", "reader@blue"):
        await cloud.refused(403, "POST", "/flavors", {"flavor": BODY}, token)
        await cloud.refused(403, "DELETE", "/flavors/1", token=token)
    await cloud.refused(401, "GET", "/flavors", token="nobody")


async def test_lists_are_filtered_sorted_and_paged(cloud: Cloud) -> None:
    assert await names(cloud, "?minRam=4096") == ["m1.medium", "m1.large", "m1.xlarge"]
    assert await names(cloud, "?minDisk=100") == ["m1.xlarge"]
    assert await names(cloud, "?sort_key=memory_mb&sort_dir=desc&limit=2") == ["m1.xlarge", "m1.large"]
    page = await cloud.got("/flavors/detail?limit=2&marker=2")
    assert [one["name"] for one in page["flavors"]] == ["m1.medium", "m1.large"]
    assert page["flavors_links"] == [
        {"rel": "next", "href": "http://cloud:8080/compute/v2.1/flavors/detail?limit=2&marker=4"}
    ]
    assert "flavors_links" not in await cloud.got("/flavors?limit=6")
    assert await names(cloud, "?limit=0") == []


@pytest.mark.parametrize(
    "query",
    ["minRam=x", "minDisk=x", "limit=-1", "limit=x", "marker=none", "sort_key=size", "sort_dir=up", "unknown=1"],
)
async def test_a_query_that_cannot_be_is_refused(cloud: Cloud, query: str) -> None:
    await cloud.refused(400, "GET", f"/flavors?{query}")


async def test_before_2_75_what_is_not_known_is_overlooked(cloud: Cloud) -> None:
    assert len((await cloud.got("/flavors?unknown=1", version="2.74"))["flavors"]) == 5


async def test_a_private_flavor_is_for_those_who_are_named(cloud: Cloud) -> None:
    await create(cloud, id="own", private=True)
    assert "large one" not in await names(cloud)
    await cloud.refused(404, "GET", "/flavors/own", token="member@blue")
    add = {"addTenantAccess": {"tenant": "blue"}}
    held = await cloud.done("POST", "/flavors/own/action", add)
    assert held == {"flavor_access": [{"flavor_id": "own", "tenant_id": "blue"}]}
    assert (await cloud.got("/flavors/own/os-flavor-access", "admin@blue")) == held
    assert "large one" in await names(cloud)
    assert "large one" not in await names(cloud, token="member@green")
    assert "already exists" in await cloud.refused(409, "POST", "/flavors/own/action", add)
    remove = {"removeTenantAccess": {"tenant": "blue"}}
    assert await cloud.done("POST", "/flavors/own/action", remove) == {"flavor_access": []}
    await cloud.refused(404, "POST", "/flavors/own/action", remove)


async def test_access_has_its_rules(cloud: Cloud) -> None:
    await create(cloud, id="own", private=True)
    nobody = {"addTenantAccess": {"tenant": "nobody"}}
    assert "not a valid project" in await cloud.refused(400, "POST", "/flavors/own/action", nobody)
    public = {"addTenantAccess": {"tenant": "blue"}}
    assert "public flavor" in await cloud.refused(409, "POST", "/flavors/1/action", public)
    assert (await cloud.admin("POST", "/flavors/1/action", public, "2.6")).status == 200
    await cloud.refused(404, "GET", "/flavors/1/os-flavor-access")
    await cloud.refused(400, "POST", "/flavors/own/action", {"addTenantAccess": {}})
    await cloud.refused(400, "POST", "/flavors/own/action", {"frob": {}})
    await cloud.refused(403, "POST", "/flavors/own/action", public, "member@blue")
    await cloud.refused(403, "GET", "/flavors/own/os-flavor-access", token="member@blue")


async def test_administrators_ask_for_private_ones(cloud: Cloud) -> None:
    await create(cloud, private=True)
    assert await names(cloud, "?is_public=false", "admin@blue") == ["large one"]
    assert len(await names(cloud, "?is_public=None", "admin@blue")) == 6
    assert len(await names(cloud, "", "admin@blue")) == 5
    assert len(await names(cloud, "?is_public=false")) == 5  # others' wish is overlooked
    await cloud.refused(400, "GET", "/flavors?is_public=perhaps")


async def test_extra_specs_are_said_changed_and_taken_back(cloud: Cloud) -> None:
    path = "/flavors/1/os-extra_specs"
    specs = {"hw:cpu_policy": "shared", "own:key": 5}
    assert await cloud.done("POST", path, {"extra_specs": specs}) == {"extra_specs": specs}
    assert (await cloud.got(path))["extra_specs"] == {"hw:cpu_policy": "shared", "own:key": "5"}
    assert await cloud.got(f"{path}/own:key") == {"own:key": "5"}
    assert await cloud.done("PUT", f"{path}/own:key", {"own:key": "6"}) == {"own:key": "6"}
    assert (await cloud.admin("DELETE", f"{path}/own:key")).status == 200
    assert await cloud.refused(404, "GET", f"{path}/own:key") == await cloud.refused(404, "DELETE", f"{path}/own:key")
    assert (await cloud.got("/flavors/1"))["flavor"]["extra_specs"] == {"hw:cpu_policy": "shared"}
    await cloud.refused(404, "GET", "/flavors/none/os-extra_specs")


async def test_extra_specs_have_their_rules(cloud: Cloud) -> None:
    path = "/flavors/1/os-extra_specs"
    for wrong in ({"hw:cpu_policy": "wild"}, {"hw:unheard": "1"}, {"a/b": "1"}, {"key": "x" * 256}, {"key": None}):
        await cloud.refused(400, "POST", path, {"extra_specs": wrong})
    assert (await cloud.admin("POST", path, {"extra_specs": {"hw:unheard": "1"}}, "2.85")).status == 200
    await cloud.refused(400, "PUT", f"{path}/one", {"two": "2"})
    await cloud.refused(400, "PUT", f"{path}/one", {"one": "1", "two": "2"})
    await cloud.refused(400, "POST", path, {"specs": {}})
    await cloud.refused(403, "POST", path, {"extra_specs": {"a": "1"}}, "member@blue")
    await cloud.refused(403, "DELETE", f"{path}/hw:unheard", token="member@blue")
    await cloud.refused(403, "GET", path, token="stranger@blue")
