"""What every service gets from the frame: the audit log, the health check, CORS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from starlette.responses import Response
from structlog.testing import capture_logs
from trio.testing import MockClock

from gateway.rest.app import Routes, ServiceApp
from gateway.rest.call import Call, Caller
from gateway.rest.cors import with_cors
from gateway.rest.healthcheck import PATIENCE_S, healthcheck_routes
from gateway.rest.policy import Credentials, Operation, Policy
from store.core.errors import InvalidError
from store.registry import Registry, UnavailableError, memory_registry
from tests.gateway_rest.service import ask, failure, refusal
from tests.twins.clock import ManualClock


@dataclass(frozen=True)
class Ann:
    credentials: Credentials


class OwnCall(Call):
    async def identify(self, token: str) -> Caller | None:
        if token == "away":
            raise UnavailableError("the registry is away")
        project = None if token == "unscoped" else "quarry"
        held = {"user_id": "ann", "project_id": project, "roles": frozenset({token})}
        return Ann(held) if token in ("admin", "member", "unscoped") else None


POLICY = Policy([Operation("stone:move", "role:admin"), Operation("stone:look", "")], {})


async def move(call: Call) -> Response:
    await call.allow("stone:move")
    status = int(call.query.get("status", "200"))
    if status == 500:
        raise ZeroDivisionError
    return Response(status_code=status)


async def look(call: Call) -> Response:
    await call.allow("stone:look")
    return Response()


async def look_all(call: Call) -> Response:
    await call.chosen("stone:move")
    return Response()


async def login(_: Call) -> Response:
    return Response(status_code=201)


def app(documents: Routes[Call] | None = None) -> ServiceApp[OwnCall]:
    return ServiceApp(
        "/stone",
        {
            "/stones/{id}": {"POST": move, "DELETE": move, "GET": look},
            "/stones": {"GET": look_all},
            "/login": {"POST": login},
        },
        call=lambda scope, receive: OwnCall(scope, receive, POLICY),
        refusal=refusal,
        failure=failure,
        request_id=lambda: "req-7",
        documents=documents,
    )


async def audited(method: str, path: str, token: str = "") -> Mapping[str, Any] | None:
    with capture_logs() as logs:
        answer = await ask(app(), method, path, {"X-Auth-Token": token} if token else {}, {"secret": "hush"})
    events = [line for line in logs if line["event"] in ("changed", "refused")]
    assert "hush" not in str(logs)
    assert all(line["status"] == answer.status for line in events)
    assert len(events) < 2
    return events[0] if events else None


async def test_a_change_is_told_with_all_that_one_asks_later() -> None:
    assert await audited("POST", "/stone/stones/ü 1?secret=hush&status=202", "admin") == {
        "event": "changed",
        "log_level": "info",
        "operation": "stone:move",
        "method": "POST",
        "path": "/stone/stones/%C3%BC%201",
        "status": 202,
        "user": "ann",
        "project": "quarry",
        "address": "192.0.2.7",
        "request_id": "req-7",
    }


@pytest.mark.parametrize(
    ("method", "path", "token", "event", "user"),
    [
        ("DELETE", "/stone/stones/1", "admin", "changed", "ann"),
        ("DELETE", "/stone/stones/1?status=500", "admin", "changed", "ann"),
        ("POST", "/stone/login", "", "changed", ""),
        ("POST", "/stone/login", "away", "changed", ""),
        ("POST", "/stone/stones/1", "member", "refused", "ann"),
        ("POST", "/stone/stones/1", "forged", "refused", ""),
        ("GET", "/stone/stones/1", "forged", "refused", ""),
        ("GET", "/stone/stones", "member", "refused", "ann"),
    ],
)
async def test_what_is_told(method: str, path: str, token: str, event: str, user: str) -> None:
    line = await audited(method, path, token)
    assert line is not None
    assert (line["event"], line["user"]) == (event, user)
    assert token not in line.values() or not token


async def test_who_acts_for_no_project_is_told_so() -> None:
    line = await audited("POST", "/stone/stones/1", "unscoped")
    assert line is not None
    assert (line["user"], line["project"]) == ("ann", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/stone/stones/1"),
        ("HEAD", "/stone/stones/1"),
        ("POST", "/stone/nothing"),
        ("POST", "/stone/stones/1?status=400"),
        ("POST", "/stone/stones/1?status=499"),
    ],
)
async def test_what_changes_nothing_is_not_told(method: str, path: str) -> None:
    assert await audited(method, path, "admin") is None


# -- the health check ------------------------------------------------------------------------------------------------


class Away:
    """As much of a registry as is asked: it fails, or never answers."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def revision(self) -> int:
        if self._error is not None:
            raise self._error
        await trio.sleep_forever()
        raise AssertionError


async def test_the_health_check_of_a_service_that_works() -> None:
    registry = memory_registry(ManualClock())
    answer = await ask(app(healthcheck_routes(registry)), "GET", "/stone/healthcheck")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("error", [UnavailableError("away"), None])
async def test_the_health_check_where_the_registry_is_away(autojump_clock: MockClock, error: Exception | None) -> None:
    away: Any = Away(error)
    registry: Registry = away
    began = trio.current_time()
    answer = await ask(app(healthcheck_routes(registry)), "GET", "/stone/healthcheck")
    assert answer.status == 503
    assert trio.current_time() - began == pytest.approx(0 if error else PATIENCE_S)


# -- CORS ------------------------------------------------------------------------------------------------------------

CONSOLE = "https://console.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "DELETE",
    "Access-Control-Request-Headers": "x-auth-token, openstack-api-version",
}


async def test_pages_may_do_nothing_unless_they_are_allowed() -> None:
    bare = app()
    assert with_cors(bare, []) is bare
    evil = {"Origin": "https://evil"}
    for serving in (bare, with_cors(bare, [CONSOLE])):
        asked = await ask(serving, "OPTIONS", "/stone/stones/1", {**evil, **PREFLIGHT})
        assert asked.status >= 400
        for answer in (asked, await ask(serving, "GET", "/stone/stones/1", evil)):
            assert "access-control-allow-origin" not in answer.headers


async def test_pages_of_an_origin_that_is_allowed() -> None:
    open_to = with_cors(app(), [CONSOLE])
    answer = await ask(open_to, "OPTIONS", "/stone/stones/1", {"Origin": CONSOLE, **PREFLIGHT})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, CONSOLE)
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers
    refused = await ask(open_to, "GET", "/stone/stones/1", {"Origin": CONSOLE})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, CONSOLE)
    assert "x-openstack-request-id" in refused.headers["access-control-expose-headers"].lower()
    assert {one.strip() for one in refused.headers["vary"].split(",")} == {"X-Auth-Token", "Authorization", "Origin"}


async def test_all_pages_may_be_allowed() -> None:
    answer = await ask(with_cors(app(), ["*"]), "GET", "/stone/stones/1", {"Origin": "https://any"})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origin", ["", "console.example", "https://a/", "https://A", "https://*.a", "null"])
async def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(InvalidError):
        with_cors(app(), [origin])
