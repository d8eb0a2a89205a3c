"""The example service, asked as a client does: what docs/services.md promises of the frame holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.rest.call import Caller
from gateway.rest.policy import Credentials
from gateway.rest.quota_records import Standing
from store.core.entropy import SystemRandom
from store.registry import memory_registry
from tests.gateway_rest.example_service.app import ExampleApp
from tests.gateway_rest.example_service.service import Service
from tests.gateway_rest.mortal_registry import MortalRegistry
from tests.gateway_rest.service import Answer, ask
from tests.twins.clock import ManualClock


@dataclass(frozen=True)
class Held:
    credentials: Credentials


class Tokens:
    """A token is a role and a project, such as `member@quarry`."""

    async def read(self, token: str) -> Caller | None:
        role, _, project = token.partition("@")
        roles = {"admin": {"admin"}, "member": {"member", "reader"}, "reader": {"reader"}}.get(role)
        return Held({"user_id": role, "project_id": project or None, "roles": frozenset(roles)}) if roles else None


class Cloud:
    def __init__(self) -> None:
        clock = ManualClock()
        self.service = Service(MortalRegistry(memory_registry(clock)), Tokens(), clock, SystemRandom())
        self.app = ExampleApp(self.service)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "member@quarry", version: str = "1.0"
    ) -> Answer:
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"example {version}"}
        return await ask(self.app, method, "/example" + path, headers, body)

    async def make(self, name: str = "granite", kilograms: int = 5, token: str = "member@quarry") -> Mapping[str, Any]:
        answer = await self.ask("POST", "/v1/stones", {"stone": {"name": name, "kilograms": kilograms}}, token)
        assert answer.status == 201
        found: Mapping[str, Any] = answer.json["stone"]
        assert answer.headers["location"] == f"http://cloud:8080/example/v1/stones/{found['id']}"
        return found

    async def used(self) -> tuple[int, int]:
        standing = await self.service.quotas.show("quarry")
        assert all(one.reserved == 0 for one in standing.values())
        return standing["stones"].in_use, standing["kilograms"].in_use


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


async def test_a_stone_is_made_shown_listed_and_deleted(cloud: Cloud) -> None:
    stone = await cloud.make()
    assert await cloud.used() == (1, 5)
    path = f"/v1/stones/{stone['id']}"
    assert (await cloud.ask("GET", path)).json == {"stone": stone}
    assert (await cloud.ask("GET", "/v1/stones")).json == {"stones": [stone], "stones_links": []}
    assert (await cloud.ask("DELETE", path)).status == 204
    assert await cloud.used() == (0, 0)
    for method in ("GET", "DELETE"):
        answer = await cloud.ask(method, path)
        assert (answer.status, list(answer.json)) == (404, ["itemNotFound"])


async def test_pages_and_filters(cloud: Cloud) -> None:
    every = sorted([await cloud.make(f"stone {number}") for number in range(3)], key=lambda stone: str(stone["id"]))
    first = (await cloud.ask("GET", "/v1/stones?limit=2")).json
    (link,) = first["stones_links"]
    rest = (await cloud.ask("GET", link["href"].removeprefix("http://cloud:8080/example"))).json
    assert first["stones"] + rest["stones"] == every
    assert rest["stones_links"] == []
    named = (await cloud.ask("GET", "/v1/stones?name=stone%201")).json["stones"]
    assert [stone["name"] for stone in named] == ["stone 1"]
    assert (await cloud.ask("GET", "/v1/stones?colour=red")).status == 400


async def test_who_may_what(cloud: Cloud) -> None:
    stone = await cloud.make()
    path = f"/v1/stones/{stone['id']}"
    body = {"stone": {"name": "a", "kilograms": 1}}
    for token, listed, shown, made, deleted in (
        ("forged", 401, 401, 401, 401),
        ("reader@quarry", 200, 200, 403, 403),
        ("member@other", 200, 404, 201, 404),
        ("member", 403, 404, 403, 404),
        ("admin@other", 200, 200, 201, 204),
    ):
        statuses = [
            (await cloud.ask("GET", "/v1/stones", token=token)).status,
            (await cloud.ask("GET", path, token=token)).status,
            (await cloud.ask("POST", "/v1/stones", body, token)).status,
            (await cloud.ask("DELETE", path, token=token)).status,
        ]
        assert statuses == [listed, shown, made, deleted], token
    assert [one["name"] for one in (await cloud.ask("GET", "/v1/stones", token="member@other")).json["stones"]] == [
        "a"
    ] * 2


async def test_the_quota_of_the_project(cloud: Cloud) -> None:
    await cloud.service.quotas.set_limits("quarry", {"kilograms": 7})
    await cloud.make(kilograms=5)
    answer = await cloud.ask("POST", "/v1/stones", {"stone": {"name": "b", "kilograms": 3}})
    assert (answer.status, answer.json["overLimit"]["code"]) == (413, 413)
    assert "5 of 7 in use" in answer.json["overLimit"]["message"]
    assert await cloud.used() == (1, 5)
    await cloud.make(kilograms=3, token="member@other")
    assert (await cloud.service.quotas.show("other"))["kilograms"] == Standing(1000, 3, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stone": {}},
        {"stone": {"name": " ", "kilograms": 1}},
        {"stone": {"name": "a", "kilograms": 501}},
        {"stone": {"name": "a", "kilograms": 1, "colour": "red"}},
    ],
)
async def test_a_wrong_body_is_refused_and_counts_nothing(cloud: Cloud, body: Any) -> None:
    answer = await cloud.ask("POST", "/v1/stones", body)
    assert (answer.status, list(answer.json)) == (400, ["badRequest"])
    assert await cloud.used() == (0, 0)


async def test_microversions_and_documents(cloud: Cloud) -> None:
    stone = await cloud.make()
    assert "created_at" not in stone
    newer = await cloud.ask("GET", f"/v1/stones/{stone['id']}", version="1.1")
    assert newer.json["stone"]["created_at"].startswith("2023-11-14T")
    answer = await cloud.ask("GET", "/v1/stones", version="1.2")
    assert (answer.status, answer.json["notAcceptable"]["max_version"]) == (406, "1.1")
    (version,) = (await cloud.ask("GET", "/")).json["versions"]
    assert (version["min_version"], version["version"]) == ("1.0", "1.1")
    assert (await cloud.ask("GET", "/healthcheck")).body == b"OK"


async def test_what_is_not_served(cloud: Cloud) -> None:
    assert (await cloud.ask("GET", "/v1/pebbles")).status == 404
    assert (await cloud.ask("GET", "/v1/stones/" + "a" * 600)).status == 404
    answer = await cloud.ask("PATCH", "/v1/stones")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
