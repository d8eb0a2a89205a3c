"""Tokens that open some requests only, as application credentials with access rules give them."""

from __future__ import annotations

from dataclasses import replace

from authn.access_rules import AllowedRequests
from authn.records.credentials import AccessRule
from tests.gateway_swift.client import HOME, Client


def restrict(client: Client, *rules: tuple[str, str], service: str = "object-store", token: str = "owner") -> None:
    """Let a token open only these methods and paths below the account."""
    kept = tuple(
        AccessRule(str(number), "olga-id", service, method, f"/v1/{HOME}{path}")
        for number, (method, path) in enumerate(rules)
    )
    client.people.identities["ruled"] = replace(client.people.identities[token], allowed=AllowedRequests(kept))


async def test_only_what_a_rule_says_is_opened(client: Client) -> None:
    await client.fill("c", ["a", "b/c", "d e"], b"data")
    restrict(client, ("GET", "/c/*"), ("HEAD", "/c/b/c"))
    for method, path, status in (
        ("GET", "c/a", 200),
        ("GET", "c/d e", 200),
        ("HEAD", "c/a", 401),
        ("GET", "c/b/c", 401),
        ("HEAD", "c/b/c", 200),
        ("GET", "c", 401),
        ("GET", "", 401),
        ("DELETE", "c/a", 401),
        ("PUT", "c/new", 401),
    ):
        assert (await client(method, path, token="ruled")).status == status
    assert (await client("GET", f"/v1/{HOME}/c/b%2Fc", token="ruled", raw=True)).status == 401


async def test_rules_give_nothing_that_roles_do_not(client: Client) -> None:
    await client.fill("c", ["a"])
    restrict(client, ("GET", "/**"), ("PUT", "/**"), token="stranger")
    assert (await client("GET", "c/a", token="ruled")).status == 403
    assert (await client("PUT", "c/a", token="ruled")).status == 403


async def test_rules_of_other_services(client: Client) -> None:
    await client.fill("c", ["a"])
    restrict(client, ("GET", "/c/a"), service="compute")
    assert (await client("GET", "c/a", token="ruled")).status == 401


async def test_what_is_public_stays_public(client: Client) -> None:
    await client.fill("c", ["a"])
    assert (await client("POST", "c", {"X-Container-Read": ".r:*"})).status == 204
    restrict(client)
    assert (await client("GET", "c/a", token="ruled")).status == 200


async def test_the_same_token_is_asked_about_each_request(client: Client) -> None:
    await client.fill("c", ["a", "b"])
    restrict(client, ("GET", "/c/a"))
    for _ in range(2):
        assert (await client("GET", "c/a", token="ruled")).status == 200
        assert (await client("GET", "c/b", token="ruled")).status == 401


async def test_each_deletion_of_many_is_asked_about(client: Client) -> None:
    await client.fill("c", ["a", "b"])
    restrict(client, ("POST", ""), ("DELETE", "/c/a"))
    answer = await client(
        "POST", "", {"Accept": "application/json"}, b"c/a\nc/b\n", token="ruled", query={"bulk-delete": ""}
    )
    assert answer.json()["Number Deleted"] == 1
    assert answer.json()["Errors"] == [["c/b", "401 Unauthorized"]]
    assert (await client("HEAD", "c/b")).status == 200


async def test_a_service_that_acts_for_somebody_is_not_held_to_their_rules(client: Client) -> None:
    await client.fill("c", ["a"])
    restrict(client)
    client.people.add("service", "swift", "services", ("service",))
    for token, status in (("service", 200), ("stranger", 401), ("", 401)):
        assert (await client("GET", "c/a", {"X-Service-Token": token}, token="ruled")).status == status


async def test_nothing_is_written_that_stands_for_what_no_rule_lets_read(client: Client) -> None:
    """Or it would be read there."""
    await client.fill("c", ["a", "old"], b"mine")
    await client.fill("other", ["a", "b/c"], b"theirs")
    restrict(client, ("GET", "/c/**"), ("PUT", "/c/**"), ("POST", "/c/**"), ("GET", "/other/a"))
    manifest = {"multipart-manifest": "put"}
    for path, status in (("c/a", 201), ("other/a", 201), ("other/b/c", 401)):
        for headers in ({"X-Copy-From": path}, {"X-Copy-From": f"/{path.replace('/', '%2F')}"}):
            assert (await client("PUT", "c/new", headers, token="ruled")).status == status
        assert (await client("PUT", "c/new", {"X-Symlink-Target": path}, token="ruled")).status == status
        body = b'[{"path": "/%s"}]' % path.encode()
        assert (await client("PUT", "c/new", {}, body, token="ruled", query=manifest)).status == status
    for prefix, refused in (("c/a", False), ("other/a", True), ("other/b/", True)):
        for method in ("PUT", "POST"):
            answer = await client(method, "c/old", {"X-Object-Manifest": prefix}, token="ruled")
            assert (answer.status == 401) == refused
    elsewhere = {"X-Copy-From": "c/a", "X-Copy-From-Account": "AUTH_elsewhere"}
    assert (await client("PUT", "c/new", elsewhere, token="ruled")).status == 401
