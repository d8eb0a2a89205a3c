"""Account access lists, and accounts that a service's token opens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authn.identity import Identity
from gateway.objects.access.account_access import Level, level
from gateway.swift.containers import acl
from gateway.swift.containers.account_acl import clean
from tests.gateway_swift.client import HOME, Client

SVEN = Identity("sven-id", "sven", "away-id", "away", frozenset({"member"}), 4e9)


async def grant(client: Client, **lists: list[str]) -> None:
    value = json.dumps({key.replace("_", "-"): members for key, members in lists.items()})
    assert (await client("POST", headers={"X-Account-Access-Control": value})).status == 204


async def allowed(client: Client, token: str = "stranger") -> set[str]:
    """What a stranger may do now."""
    tries = {
        "see the account": ("GET", "", {}),
        "change the account": ("POST", "", {"X-Account-Meta-A": "1"}),
        "list": ("GET", "c", {}),
        "make a container": ("PUT", "d", {}),
        "change a container": ("POST", "c", {"X-Container-Meta-A": "1"}),
        "read": ("GET", "c/o", {}),
        "write": ("PUT", "c/p", {}),
        "copy": ("COPY", "c/o", {"Destination": "c/q"}),
        "remove": ("DELETE", "c/p", {}),
    }
    found = set()
    for what, (method, path, headers) in tries.items():
        answer = await client(method, path, headers, token=token)
        assert answer.status < 300 or answer.status == 403, (what, answer)
        if answer.status < 300:
            found.add(what)
    assert (await client("PUT", token=token)).status == 403
    assert (await client("DELETE", token=token)).status == 403
    return found


READS = {"see the account", "list", "read"}
WRITES = READS | {"make a container", "change a container", "write", "copy", "remove"}


@pytest.mark.parametrize("name", ["away:sven", "away-id:sven-id", "away-id", "AUTH_away-id"])
async def test_what_each_level_gives(client: Client, name: str) -> None:
    await client.fill("c", ["o"])
    assert await allowed(client) == set()
    await grant(client, read_only=[name])
    assert await allowed(client) == READS
    await grant(client, read_write=[name])
    assert await allowed(client) == WRITES
    await grant(client, admin=[name])
    assert await allowed(client) == WRITES | {"change the account"}
    assert (await client("POST", headers={"X-Account-Access-Control": "{}"}, token="stranger")).status == 204
    assert await allowed(client) == set()


async def test_only_an_admin_sees_and_sets_what_is_secret(client: Client) -> None:
    await client("POST", headers={"X-Account-Meta-Temp-URL-Key": "k"})
    await client.fill("c", ["o"])
    await client("POST", "c", {"X-Container-Read": ".r:*", "X-Container-Meta-Temp-URL-Key": "k"})
    secret = {"x-account-access-control", "x-account-meta-temp-url-key"}
    hidden = {"x-container-read", "x-container-meta-temp-url-key"}
    await grant(client, read_write=["away:sven"])
    assert not secret & set((await client("HEAD", token="stranger")).headers)
    assert not hidden & set((await client("HEAD", "c", token="stranger")).headers)
    await client("POST", "c", {"X-Container-Read": "x:y", "X-Container-Meta-B": "b"}, token="stranger")
    seen = await client("HEAD", "c")
    assert (seen["x-container-read"], seen["x-container-meta-b"]) == (".r:*", "b")
    await grant(client, admin=["away:sven"])
    assert secret <= set((await client("HEAD", token="stranger")).headers)
    assert hidden <= set((await client("HEAD", "c", token="stranger")).headers)


async def test_a_copy_from_and_to_an_account_that_opens_itself(client: Client) -> None:
    await client.fill("c", ["o"], b"data")
    for method in ("PUT", "POST"):
        await client(method, "c", account="AUTH_away-id", token="stranger")
    headers = {"X-Copy-From": "c/o", "X-Copy-From-Account": HOME}
    assert (await client("PUT", "c/p", headers, account="AUTH_away-id", token="stranger")).status == 403
    await grant(client, read_only=["away:sven"])
    assert (await client("PUT", "c/p", headers, account="AUTH_away-id", token="stranger")).status == 201
    back = {"Destination": "c/q", "Destination-Account": HOME}
    assert (await client("COPY", "c/p", back, account="AUTH_away-id", token="stranger")).status == 403
    await grant(client, read_write=["away:sven"])
    assert (await client("COPY", "c/p", back, account="AUTH_away-id", token="stranger")).status == 201


@pytest.mark.parametrize(
    "value", ["x", "[]", "1", '{"a": []}', '{"admin": "x"}', '{"admin": [1]}', '{"admin": {}}', "[" * 3000, "\xff"]
)
async def test_lists_that_are_refused(client: Client, value: str) -> None:
    answer = await client("POST", headers={"X-Account-Access-Control": value})
    assert answer.status == 400
    assert "x-account-access-control" not in (await client("HEAD")).headers


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
lists = st.dictionaries(
    st.sampled_from(["admin", "read-write", "read-only"]), st.lists(st.text(max_size=8) | st.just("away:sven"))
)


@given(st.text(max_size=40) | json_values.map(json.dumps))
def test_any_value_is_kept_or_refused(value: str) -> None:
    try:
        stored = clean(value)
    except acl.AclError:
        return
    assert stored is None or clean(stored) == stored
    level(stored, SVEN)


@given(lists)
def test_the_highest_list_that_names_somebody_counts(value: dict[str, Any]) -> None:
    ranks = {"admin": Level.ADMIN, "read-write": Level.WRITE, "read-only": Level.READ}
    named = [ranks[key] for key, members in value.items() if {"away:sven", "away-id"} & set(members)]
    if not any("*" in member or "id" in member for members in value.values() for member in members):
        assert level(clean(json.dumps(value)), SVEN) == max(named, default=Level.NONE)


async def test_service_accounts_want_both_tokens(client: Client) -> None:
    client.people.add("service", "glance", "services", ("service",))
    account = "SERVICE_home-id"
    beside = {"X-Service-Token": "service"}
    for headers, token in (
        ({}, "owner"),
        (beside, None),
        (beside, "stranger"),
        (beside, "service"),
        ({"X-Service-Token": "stranger"}, "owner"),
        ({"X-Service-Token": "garbage"}, "owner"),
    ):
        assert (await client("PUT", "c", headers, account=account, token=token)).status in (401, 403), (headers, token)
    assert (await client("PUT", "c", beside, account=account)).status == 201
    assert (await client("PUT", "c/o", beside, account=account)).status == 201
    assert (await client("GET", "c/o", account=account)).status == 403
    assert (await client("GET", "c/o", account=account, token="reseller")).status == 200
    assert (await client("GET", "c", beside, account=account, token="reader")).status == 200
    assert (await client("PUT", "c", beside)).status == 201
