"""Server groups."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.compute_api.cloud import Cloud

PATH = "/os-server-groups"


async def create(cloud: Cloud, name: str = "apart", token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    body = {"server_group": {"name": name, "policy": "anti-affinity", **asked}}
    found: dict[str, Any] = (await cloud.done("POST", PATH, body, token=token))["server_group"]
    return found


async def test_a_group_is_made_shown_and_deleted(cloud: Cloud) -> None:
    made = await create(cloud, rules={"max_server_per_host": "3"})
    assert made == {
        "id": made["id"], "name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 3},
        "members": [], "project_id": "blue", "user_id": "member-id",
    }  # fmt: skip
    server = await cloud.server(group_id=made["id"])
    shown = await cloud.got(f"{PATH}/{made['id']}")
    assert shown == {"server_group": made | {"members": [server.id]}}
    answer = await cloud.ask("DELETE", f"{PATH}/{made['id']}")
    assert (answer.status, answer.body) == (204, b"")
    await cloud.refused(404, "GET", f"{PATH}/{made['id']}")
    await cloud.refused(404, "DELETE", f"{PATH}/{made['id']}")


async def test_what_is_shown_goes_by_the_microversion(cloud: Cloud) -> None:
    body = {"server_group": {"name": "old", "policies": ["affinity"]}}
    made = (await cloud.done("POST", PATH, body, "2.1", "member@blue"))["server_group"]
    assert made == {"id": made["id"], "name": "old", "policies": ["affinity"], "metadata": {}, "members": []}
    later = (await cloud.got(f"{PATH}/{made['id']}", version="2.13"))["server_group"]
    assert later == made | {"project_id": "blue", "user_id": "member-id"}
    last = (await cloud.got(f"{PATH}/{made['id']}"))["server_group"]
    assert (last["policy"], last["rules"]) == ("affinity", {})


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("2.1", {"policies": []}),
        ("2.1", {"policies": ["affinity", "anti-affinity"]}),
        ("2.1", {"policies": ["affinity", "affinity"]}),
        ("2.1", {"policies": ["together"]}),
        ("2.14", {"policies": ["soft-affinity"]}),
        ("2.1", {"policies": "affinity"}),
        ("2.1", {"policy": "affinity"}),
        ("2.1", {}),
        ("2.64", {"policies": ["affinity"]}),
        ("2.64", {"policy": "together"}),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"other": 1}}),
        ("2.64", {"policy": "anti-affinity", "rules": 5}),
        ("2.64", {"policy": "affinity", "name": ""}),
        ("2.64", {"policy": "affinity", "name": "x" * 256}),
        ("2.64", {"policy": "affinity", "more": 1}),
    ],
)
async def test_what_cannot_be_is_refused(cloud: Cloud, version: str, asked: dict[str, Any]) -> None:
    await cloud.refused(400, "POST", PATH, {"server_group": {"name": "one", **asked}}, "member@blue", version)


async def test_soft_policies_came_with_2_15(cloud: Cloud) -> None:
    body = {"server_group": {"name": "soft", "policies": ["soft-affinity"]}}
    assert (await cloud.ask("POST", PATH, body, version="2.15")).status == 200


async def test_a_group_is_its_projects(cloud: Cloud) -> None:
    made = await create(cloud)
    path = f"{PATH}/{made['id']}"
    await cloud.refused(403, "GET", path, token="member@green")
    await cloud.refused(403, "DELETE", path, token="member@green")
    await cloud.refused(403, "DELETE", path, token="reader@blue")
    body = {"server_group": {"name": "one", "policy": "affinity"}}
    await cloud.refused(403, "POST", PATH, body, "reader@blue")
    assert (await cloud.got(path, "reader@blue"))["server_group"]["id"] == made["id"]
    assert (await cloud.got(path, "admin@green"))["server_group"]["id"] == made["id"]


async def test_lists_are_of_a_project_or_of_all_and_cut(cloud: Cloud) -> None:
    ids = [(await create(cloud, token=token))["id"] for token in ("member@blue", "member@green", "member@blue")]

    async def listed(query: str = "", token: str = "member@blue") -> list[str]:
        return [one["id"] for one in (await cloud.got(f"{PATH}{query}", token))["server_groups"]]

    assert await listed() == [ids[0], ids[2]]
    assert await listed("?all_projects=1") == [ids[0], ids[2]]
    assert await listed("?all_projects=1", "admin@blue") == ids
    assert await listed("?limit=1") == ids[:1]
    assert await listed("?offset=1&limit=1") == ids[2:]
    await cloud.refused(400, "GET", f"{PATH}?limit=-1")
    await cloud.refused(400, "GET", f"{PATH}?unknown=1")
    assert len((await cloud.got(f"{PATH}?unknown=1", version="2.74"))["server_groups"]) == 2


async def test_a_project_has_so_many_however_many_ask_at_once(cloud: Cloud) -> None:
    await cloud.done("PUT", "/os-quota-sets/blue", {"quota_set": {"server_groups": 2}})
    statuses: list[int] = []

    async def one() -> None:
        body = {"server_group": {"name": "one", "policy": "affinity"}}
        statuses.append((await cloud.ask("POST", PATH, body)).status)

    async with trio.open_nursery() as asking:
        for _ in range(6):
            asking.start_soon(one)
    assert sorted(statuses) == [200, 200, 403, 403, 403, 403]
