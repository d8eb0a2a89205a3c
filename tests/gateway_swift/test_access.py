"""Who may do what: projects, roles, access lists."""

from __future__ import annotations

import pytest

from gateway.swift.config import Config
from tests.gateway_swift.client import HOME, Client


async def test_the_rules_of_a_project(client: Client) -> None:
    await client.fill("c", ["o"], b"data")
    for path in ("", "c", "c/o"):
        for method in ("GET", "HEAD"):
            assert (await client(method, path, token="reader")).status in (200, 204)
            assert (await client(method, path, token="reseller")).status in (200, 204)
            for known in ("nobody", "stranger"):
                answer = await client(method, path, token=known)
                assert answer.status == 403
                assert "www-authenticate" not in answer.headers
            for unknown in (None, "garbage", ""):
                answer = await client(method, path, token=unknown)
                assert answer.status == 401
                assert answer["www-authenticate"] == f'Swift realm="{HOME}"'
        for method in ("POST", "PUT", "DELETE"):
            for known in ("reader", "nobody", "stranger"):
                assert (await client(method, path, token=known)).status == 403
            assert (await client(method, path, token=None)).status == 401
    assert (await client("GET", "c/o")).body == b"data"
    assert (await client("COPY", "c/o", {"Destination": "c/p"}, token="reader")).status == 403


async def test_strangers_learn_nothing_of_what_exists(client: Client) -> None:
    await client("PUT", "c")
    for path in ("c", "none", "c/none", "none/none"):
        assert (await client("GET", path, token="stranger")).status == 403
        assert (await client("GET", path, token=None)).status == 401
    assert (await client("GET", account="AUTH_other", token=None)).status == 401


async def test_a_storage_token_is_a_token(client: Client) -> None:
    assert (await client("GET", headers={"X-Storage-Token": "owner"}, token=None)).status == 204


async def test_public_containers(client: Client) -> None:
    await client.fill("c", ["o"], b"data")
    await client("POST", "c", {"X-Container-Read": ".r:*"})
    for token in (None, "garbage", "stranger", "nobody"):
        assert (await client("GET", "c/o", token=token)).body == b"data"
        assert (await client("GET", "c/none", token=token)).status == 404
        assert (await client("GET", "c", token=token)).status in (401, 403)
        assert (await client("PUT", "c/o", token=token)).status in (401, 403)
    await client("POST", "c", {"X-Container-Read": ".r:*,.rlistings"})
    answer = await client("GET", "c", token=None)
    assert answer.body == b"o\n"
    assert "x-container-read" not in answer.headers
    assert (await client("HEAD", "c"))["x-container-read"] == ".r:*,.rlistings"
    await client("POST", "c", {"X-Remove-Container-Read": "x"})
    assert (await client("GET", "c/o", token=None)).status == 401


async def test_referrers(client: Client) -> None:
    await client.fill("c", ["o"], b"data")
    await client("POST", "c", {"X-Container-Read": ".r:.example.com, .r:-bad.example.com"})
    for page, status in (
        ("http://www.example.com/x", 200),
        ("http://bad.example.com/", 401),
        ("http://other.com/", 401),
        ("http://[broken", 401),
        ("", 401),
    ):
        assert (await client("GET", "c/o", {"Referer": page}, token=None)).status == status


@pytest.mark.parametrize(
    "rule", ["away:sven", "away-id:sven-id", "away:*", "*:sven", "*:*", "*:sven-id", "away-id", "other:x, away:sven"]
)
async def test_people_of_other_projects(client: Client, rule: str) -> None:
    await client.fill("c", ["o"], b"data")
    assert (await client("GET", "c/o", token="stranger")).status == 403
    await client("POST", "c", {"X-Container-Read": rule})
    assert (await client("GET", "c/o", token="stranger")).body == b"data"
    assert (await client("GET", "c", token="stranger")).body == b"o\n"
    assert (await client("PUT", "c/p", token="stranger")).status == 403
    await client("POST", "c", {"X-Container-Write": rule, "X-Container-Read": ""})
    assert (await client("GET", "c/o", token="stranger")).status == 403
    assert (await client("PUT", "c/p", token="stranger")).status == 201
    assert (await client("DELETE", "c/p", token="stranger")).status == 204
    assert (await client("POST", "c", token="stranger")).status == 403
    assert (await client("PUT", "c", token="stranger")).status == 403
    assert (await client("DELETE", "c", token="stranger")).status == 403


@pytest.mark.parametrize("rule", ["away:other", "sven", "away", "other:sven", "member", ":", "*", "home-id:sven"])
async def test_rules_that_do_not_fit(client: Client, rule: str) -> None:
    await client.fill("c", ["o"], b"data")
    await client("POST", "c", {"X-Container-Read": rule})
    assert (await client("GET", "c/o", token="stranger")).status == 403


async def test_roles_count_at_home_alone(client: Client) -> None:
    client.people.add("artist", "anna", "home", ("Artist",))
    client.people.add("other-artist", "otto", "away", ("Artist",))
    await client.fill("c", ["o"], b"data")
    await client("POST", "c", {"X-Container-Read": "artist"})
    assert (await client("GET", "c/o", token="artist")).status == 200
    assert (await client("GET", "c/o", token="other-artist")).status == 403


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Container-Write", ".r:*"),
        ("X-Container-Read", ".r:"),
        ("X-Container-Read", ".r:-"),
        ("X-Container-Read", ".unknown:x"),
        ("X-Container-Read", b"\xff"),
    ],
)
async def test_lists_that_are_refused(client: Client, header: str, value: str) -> None:
    assert (await client("PUT", "c", {header: value})).status == 400
    assert (await client("HEAD", "c")).status == 404


async def test_secrets_are_for_owners(client: Client) -> None:
    await client("POST", headers={"X-Account-Meta-Temp-URL-Key": "k", "X-Account-Meta-Else": "e"})
    await client("PUT", "c", {"X-Container-Meta-Temp-URL-Key-2": "k", "X-Container-Read": "away:sven"})
    assert (await client("HEAD"))["x-account-meta-temp-url-key"] == "k"
    seen = await client("HEAD", token="reader")
    assert "x-account-meta-temp-url-key" not in seen.headers
    assert seen["x-account-meta-else"] == "e"
    for token in ("reader", "stranger"):
        seen = await client("GET", "c", token=token)
        assert not {"x-container-meta-temp-url-key-2", "x-container-read"} & set(seen.headers)


async def test_other_prefixes_and_choices() -> None:
    client = Client(Config(reseller_prefixes=("AUTH", "OTHER"), allow_account_management=False))
    assert (await client("PUT", "c", account="OTHER_home-id")).status == 201
    assert (await client("PUT", token="reseller")).status == 405
    assert (await client("DELETE", token="reseller")).status == 405
    client = Client(Config(account_autocreate=False))
    assert (await client("GET")).status == 404
    assert (await client("POST")).status == 404
    assert (await client("PUT", "c")).status == 404
    assert (await client("PUT", token="reseller")).status == 201
    assert (await client("PUT", "c")).status == 201


async def test_an_account_in_a_list_is_whoever_owns_it(client: Client) -> None:
    client.people.add("guest", "gus", "away", ("reader",))
    await client.fill("c", ["o"])
    await client("POST", "c", {"X-Container-Read": "AUTH_away-id"})
    assert (await client("GET", "c/o", token="stranger")).status == 200
    assert (await client("GET", "c/o", token="guest")).status == 403


async def test_no_project_owns_nothing(client: Client) -> None:
    client.people.add("unscoped", "ulf", "", ("admin",))
    client.people.identities["unscoped"] = type(client.people.identities["owner"])(
        "u", "ulf", "", "", frozenset({"admin"}), 4e9
    )
    assert (await client("GET", account="AUTH_", token="unscoped")).status == 403
    await client.fill("c", ["o"])
    await client("POST", "c", {"X-Container-Read": ":ulf,:u"})
    assert (await client("GET", "c/o", token="unscoped")).status == 403


@pytest.mark.parametrize("token", ["owner", "stranger", "reseller", None])
async def test_accounts_of_the_system_are_nobodys(client: Client, token: str | None) -> None:
    """Volumes are in one: who could write there could take them over."""
    account = ".volumes"
    await client.store.put_account(account, {})
    volumes, _ = await client.store.put_container(account, "v", {}, None)
    await client.fill("c", ["o"], b"data")
    denied = (401,) if token is None else (403,)
    for path in ("", "v", "v/h", "none", "none/h"):
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            assert (await client(method, path, account=account, token=token)).status in denied, (method, path)
    if token is not None:
        there = {"Destination": "v/h", "Destination-Account": account}
        assert (await client("COPY", "c/o", there, token=token)).status == 403
        here = {"X-Copy-From": "v/h", "X-Copy-From-Account": account}
        assert (await client("PUT", "c/p", here, token=token)).status == 403
    assert await client.store.container(account, "v") == volumes
