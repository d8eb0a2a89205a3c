"""The handshake of the object API's first days."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from authn.throttle import FREE_FAILURES
from authn.v1 import FRESH_SECONDS, V1AuthApp
from gateway.rest.origin import origin
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud


async def ask(
    app: V1AuthApp,
    headers: dict[str, str],
    *,
    path: str = "/auth/v1.0",
    method: str = "GET",
    scheme: str = "http",
    client: tuple[str, int] = ("192.0.2.7", 4711),
) -> tuple[int, dict[str, str]]:
    named = {"host": "cloud:8080", **headers}
    scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "client": client,
        "path": path,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("there is no body to read")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def credentials(user: str = "quarry:ann", key: str = PASSWORD) -> dict[str, str]:
    return {"x-auth-user": user, "x-auth-key": key}


@pytest.fixture
async def app(cloud: Cloud) -> V1AuthApp:
    await cloud.user("ann", await cloud.project("quarry"))
    return V1AuthApp(cloud.service)


@pytest.mark.parametrize("path", ["/auth/v1.0", "/auth/v1", "/auth/v1.0/"])
async def test_name_and_key_in_token_and_url_out(cloud: Cloud, app: V1AuthApp, path: str) -> None:
    status, headers = await ask(app, {**credentials(), "x-forwarded-host": "evil"}, path=path)
    assert status == 200
    identity = await cloud.service.identify(headers["x-auth-token"])
    assert identity is not None
    assert (identity.user_name, identity.project_name) == ("ann", "quarry")
    assert headers["x-storage-token"] == headers["x-auth-token"]
    assert headers["x-storage-url"] == f"http://cloud:8080/v1/AUTH_{identity.project_id}"
    assert int(headers["x-auth-token-expires"]) == LIFETIME_S


async def test_the_older_names_of_the_headers_and_tls(app: V1AuthApp) -> None:
    older = {"x-storage-user": "quarry:ann", "x-storage-pass": PASSWORD}
    status, headers = await ask(app, older, scheme="https")
    assert status == 200
    assert headers["x-storage-url"].startswith("https://")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        credentials(key="wrong"),
        credentials(key=""),
        credentials("ann"),
        credentials("quarry:nobody"),
        credentials("admin:ann"),
        credentials("none:ann"),
        credentials("quarry:ann\xff"),
        credentials('"\xe9:x'),
    ],
)
async def test_others_are_refused(app: V1AuthApp, headers: dict[str, str]) -> None:
    status, answer = await ask(app, headers)
    assert status == 401
    assert answer["www-authenticate"].startswith('Swift realm="')
    assert answer["www-authenticate"].count('"') == 2
    assert "x-auth-token" not in answer


async def test_a_token_is_given_out_again_until_it_is_old(cloud: Cloud, app: V1AuthApp) -> None:
    first = (await ask(app, credentials()))[1]["x-auth-token"]
    cloud.clock.advance(10)
    status, again = await ask(app, credentials())
    assert again["x-auth-token"] == first
    assert int(again["x-auth-token-expires"]) == LIFETIME_S - 10
    assert (await ask(app, credentials(key="wrong")))[0] == 401
    cloud.clock.advance(LIFETIME_S - FRESH_SECONDS)
    status, fresh = await ask(app, credentials())
    assert status == 200
    assert fresh["x-auth-token"] != first


async def test_what_is_remembered_ends_with_the_password(cloud: Cloud, app: V1AuthApp) -> None:
    await ask(app, credentials())
    user = cloud.service.snapshot.users.named(("default", "ann"))
    assert user is not None
    await cloud.service.administration.update_user(user.id, password="another")
    assert (await ask(app, credentials()))[0] == 401
    assert (await ask(app, credentials(key="another")))[0] == 200
    await cloud.service.administration.update_user(user.id, lambda user: replace(user, enabled=False))
    assert (await ask(app, credentials(key="another")))[0] == 401


async def test_a_token_given_back_is_not_given_out_again(cloud: Cloud, app: V1AuthApp) -> None:
    first = (await ask(app, credentials()))[1]["x-auth-token"]
    held = await cloud.service.tokens.read(first)
    assert held is not None
    await cloud.service.tokens.revoke(held.token)
    status, headers = await ask(app, credentials())
    assert status == 200
    assert headers["x-auth-token"] != first


async def test_whoever_guesses_keeps_out_nobody_but_themselves(app: V1AuthApp) -> None:
    for _ in range(FREE_FAILURES):
        assert (await ask(app, credentials(key="guess"), client=("192.0.2.66", 1)))[0] == 401
    assert (await ask(app, credentials(), client=("192.0.2.66", 1)))[0] == 401
    assert (await ask(app, credentials()))[0] == 200


async def test_nothing_else_is_served(app: V1AuthApp) -> None:
    assert (await ask(app, credentials(), path="/auth/v2"))[0] == 404
    assert (await ask(app, credentials(), method="POST"))[0] == 405


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (b"cloud", "http://cloud"),
        (b"[::1]:8080", "http://[::1]:8080"),
        (b"10.0.0.1:80", "http://10.0.0.1:80"),
        (b"a b", "http://127.0.0.1:99"),
        (b"a/b", "http://127.0.0.1:99"),
        (b"user@host", "http://127.0.0.1:99"),
        (b"cloud:65536", "http://127.0.0.1:99"),
        (b"[1.2]:80", "http://127.0.0.1:99"),
        (b"", "http://127.0.0.1:99"),
    ],
)
def test_links_go_where_the_client_asked(host: bytes, told: str) -> None:
    scope = {"type": "http", "scheme": "http", "headers": [(b"host", host)], "server": ("127.0.0.1", 99)}
    assert origin(scope) == told


async def test_a_right_guess_at_a_name_that_waits_is_refused(app: V1AuthApp) -> None:
    """What is remembered of right keys must not be a faster way to guess them."""
    assert (await ask(app, credentials()))[0] == 200
    for _ in range(FREE_FAILURES):
        assert (await ask(app, credentials(key="guess")))[0] == 401
    assert (await ask(app, credentials()))[0] == 401


@pytest.mark.parametrize(
    ("asked", "expires_s"), [({"multi_factor_auth_rules": [["password", "totp"]]}, 0), ({}, 1)], ids=["rules", "expiry"]
)
async def test_what_is_remembered_is_no_way_in_where_the_password_is_none_any_more(
    cloud: Cloud, app: V1AuthApp, asked: dict[str, Any], expires_s: int
) -> None:
    assert (await ask(app, credentials()))[0] == 200
    ann = cloud.service.snapshot.users.named(("default", "ann"))
    assert ann is not None
    options = json.dumps(asked)
    await cloud.service.administration.update_user(
        ann.id, lambda before: replace(before, options=options, password_expires_s=expires_s)
    )
    assert (await ask(app, credentials()))[0] == 401
