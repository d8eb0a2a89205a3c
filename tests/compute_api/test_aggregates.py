"""Aggregates, and the zones that some of them are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compute_api.cloud import Cloud

PATH = "/os-aggregates"
ZONE = "availability_zone"


async def create(cloud: Cloud, name: str, *hosts: str, **asked: Any) -> str:
    """The path of a new one."""
    made = (await cloud.done("POST", PATH, {"aggregate": {"name": name, **asked}}))["aggregate"]
    for host in hosts:
        await cloud.done("POST", f"{PATH}/{made['id']}/action", {"add_host": {"host": host}})
    return f"{PATH}/{made['id']}"


async def shown(cloud: Cloud, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await cloud.got(path, "admin@blue"))["aggregate"]
    return found


async def test_an_aggregate_is_made_changed_and_deleted(cloud: Cloud) -> None:
    made = (await cloud.done("POST", PATH, {"aggregate": {"name": "fast"}}))["aggregate"]
    assert made == {
        "id": 1, "name": "fast", ZONE: None, "uuid": made["uuid"], "created_at": made["created_at"],
        "updated_at": None, "deleted": False, "deleted_at": None,
    }  # fmt: skip
    path = f"{PATH}/1"
    assert await shown(cloud, path) == made | {"hosts": [], "metadata": {}}
    changed = (await cloud.done("PUT", path, {"aggregate": {"name": "east", ZONE: "east"}}))["aggregate"]
    assert (changed["name"], changed[ZONE], changed["metadata"]) == ("east", "east", {ZONE: "east"})
    assert changed["updated_at"] is not None
    assert (await cloud.got(PATH, "admin@blue"))["aggregates"] == [changed]
    assert "uuid" not in (await cloud.got(path, "admin@blue", "2.40"))["aggregate"]
    answer = await cloud.admin("DELETE", path)
    assert (answer.status, answer.body) == (200, b"")
    await cloud.refused(404, "GET", path)
    await cloud.refused(404, "DELETE", path)
    await cloud.refused(404, "PUT", path, {"aggregate": {"name": "x"}})


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"name": ""}, {"name": "x" * 256}, {"name": " x"}, {"name": None}, {"name": "x", ZONE: ""},
        {"name": "x", ZONE: "a:b"}, {"name": "x", ZONE: "x" * 256}, {"name": "x", "hosts": []},
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused(cloud: Cloud, asked: dict[str, Any]) -> None:
    await cloud.refused(400, "POST", PATH, {"aggregate": asked})


async def test_names_and_numbers_have_their_rules(cloud: Cloud) -> None:
    await create(cloud, "one")
    path = await create(cloud, "two")
    await cloud.refused(409, "POST", PATH, {"aggregate": {"name": "one"}})
    await cloud.refused(409, "PUT", path, {"aggregate": {"name": "one"}})
    await cloud.refused(400, "PUT", path, {"aggregate": {}})
    await cloud.refused(400, "PUT", path, {"aggregate": {ZONE: None}})
    for method in ("GET", "DELETE"):
        await cloud.refused(400, method, f"{PATH}/none")


async def test_hosts_come_and_go(cloud: Cloud) -> None:
    await cloud.host("one")
    path = await create(cloud, "fast", "one")
    assert (await shown(cloud, path))["hosts"] == ["one"]
    add, remove = {"add_host": {"host": "one"}}, {"remove_host": {"host": "one"}}
    assert "already has host" in await cloud.refused(409, "POST", f"{path}/action", add)
    assert "not empty" in await cloud.refused(400, "DELETE", path)
    assert (await cloud.done("POST", f"{path}/action", remove))["aggregate"]["hosts"] == []
    await cloud.refused(404, "POST", f"{path}/action", remove)
    await cloud.refused(404, "POST", f"{path}/action", {"add_host": {"host": "none"}})
    await cloud.refused(404, "POST", f"{PATH}/9/action", add)
    await cloud.refused(400, "POST", f"{path}/action", {"add_host": {"host": "a b"}})
    await cloud.refused(400, "POST", f"{path}/action", {"add_host": {}})
    await cloud.refused(400, "POST", f"{path}/action", {"frob": {}})
    say: dict[str, Any] = {"set_metadata": {"metadata": {}}}
    for action in (add, remove, say):
        await cloud.refused(403, "POST", f"{path}/action", action, "manager@blue")


async def test_a_host_is_in_one_zone(cloud: Cloud) -> None:
    await cloud.host("one")
    east = await create(cloud, "east", "one", availability_zone="east")
    west = await create(cloud, "west", availability_zone="west")
    add = {"add_host": {"host": "one"}}
    assert "already in availability zone" in await cloud.refused(409, "POST", f"{west}/action", add)
    await create(cloud, "also east", "one", availability_zone="east")
    plain = await create(cloud, "plain", "one")
    assert "already in" in await cloud.refused(400, "PUT", plain, {"aggregate": {ZONE: "west"}})
    say = {"set_metadata": {"metadata": {ZONE: "west"}}}
    assert "already in" in await cloud.refused(400, "POST", f"{plain}/action", say)
    assert (await shown(cloud, east))["hosts"] == ["one"]


async def test_servers_do_not_change_their_zone(cloud: Cloud) -> None:
    await cloud.host("one")
    await cloud.host("two")
    east = await create(cloud, "east", "one", availability_zone="east")
    await cloud.server(host="one")
    await cloud.server(host="two")
    assert "contain instances" in await cloud.refused(400, "PUT", east, {"aggregate": {ZONE: "west"}})
    say = {"set_metadata": {"metadata": {ZONE: "west"}}}
    assert "contain instances" in await cloud.refused(400, "POST", f"{east}/action", say)
    assert "would change" in await cloud.refused(409, "POST", f"{east}/action", {"add_host": {"host": "two"}})
    assert "would change" in await cloud.refused(409, "POST", f"{east}/action", {"remove_host": {"host": "one"}})
    assert (await cloud.done("PUT", east, {"aggregate": {ZONE: "east"}}))["aggregate"][ZONE] == "east"
    plain = await create(cloud, "plain", "one")
    await cloud.done("POST", f"{plain}/action", {"remove_host": {"host": "one"}})
    await create(cloud, "east again", "one", availability_zone="east")
    await cloud.done("POST", f"{east}/action", {"remove_host": {"host": "one"}})


async def test_metadata_is_said_and_taken_back(cloud: Cloud) -> None:
    path = f"{await create(cloud, 'one')}/action"
    said = await cloud.done("POST", path, {"set_metadata": {"metadata": {"ssd": "true", "rack": "7"}}})
    assert said["aggregate"]["metadata"] == {"ssd": "true", "rack": "7"}
    said = await cloud.done("POST", path, {"set_metadata": {"metadata": {"ssd": None, "row": "2"}}})
    assert said["aggregate"]["metadata"] == {"rack": "7", "row": "2"}
    wrongs: list[Any] = [{"a/b": "x"}, {"a": "x" * 256}, {"a": 5}, {ZONE: ""}, {ZONE: None}, [], {"": "x"}]
    for wrong in wrongs:
        await cloud.refused(400, "POST", path, {"set_metadata": {"metadata": wrong}})


async def test_images_may_be_cached_which_is_nothing_to_be_done(cloud: Cloud) -> None:
    path = f"{await create(cloud, 'one')}/images"
    image = "11111111-2222-4333-8444-555555555555"
    answer = await cloud.admin("POST", path, {"cache": [{"id": image}]})
    assert (answer.status, answer.body) == (202, b"")
    await cloud.refused(404, "POST", path, {"cache": [{"id": image}]}, version="2.80")
    await cloud.refused(404, "POST", f"{PATH}/9/images", {"cache": [{"id": image}]})
    twice, more = [{"id": image}, {"id": image}], [{"id": image, "more": 1}]
    wrongs: list[Any] = [[], [{"id": "x"}], twice, [{}], "x", more]
    for wrong in wrongs:
        await cloud.refused(400, "POST", path, {"cache": wrong})


async def test_a_host_that_is_deleted_is_in_no_aggregate(cloud: Cloud) -> None:
    await cloud.host("one")
    path = await create(cloud, "fast", "one")
    await cloud.host_gone("one")
    (service,) = (await cloud.got("/os-services", "admin@blue"))["services"]
    await cloud.done("DELETE", f"/os-services/{service['id']}")
    assert (await shown(cloud, path))["hosts"] == []
