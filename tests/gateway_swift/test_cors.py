"""What pages of other sites are told."""

from __future__ import annotations

import pytest

from gateway.swift.config import Config
from tests.gateway_swift.client import Answer, Client

PAGE = "http://page.example"


async def preflight(client: Client, origin: str = PAGE, method: str = "PUT", **more: str) -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    return await client("OPTIONS", "c/o", headers, token=None)


@pytest.mark.parametrize(
    ("stated", "origin", "answered"),
    [
        ("*", PAGE, "*"),
        (PAGE, PAGE, PAGE),
        (f"http://a {PAGE}", PAGE, PAGE),
        (f"{PAGE} *", "http://b", "http://b"),
        ("http://a", PAGE, None),
        ("", PAGE, None),
        ("http://page", PAGE, None),
    ],
)
async def test_a_container_names_its_origins(client: Client, stated: str, origin: str, answered: str | None) -> None:
    await client.fill("c", ["o"], b"data")
    await client("POST", "c/o", {"X-Object-Meta-Color": "red"})
    await client("POST", "c", {"X-Container-Meta-Access-Control-Allow-Origin": stated, "X-Container-Read": ".r:*"})
    asked = await preflight(client, origin)
    assert asked.status == (200 if answered else 401)
    assert asked.headers.get("access-control-allow-origin") == answered
    for token in (None, "owner"):
        for path in ("c/o", "c/none"):
            answer = await client("GET", path, {"Origin": origin}, token=token)
            assert answer.headers.get("access-control-allow-origin") == answered
            assert ("access-control-expose-headers" in answer.headers) is (answered is not None)
            assert (answer.headers.get("vary") == "Origin") is (answered not in (None, "*"))
        if answered:
            answer = await client("GET", "c/o", {"Origin": origin}, token=token)
            assert "x-object-meta-color" in answer["access-control-expose-headers"].split(", ")


async def test_a_preflight_is_told_all(client: Client) -> None:
    await client(
        "PUT",
        "c",
        {
            "X-Container-Meta-Access-Control-Allow-Origin": PAGE,
            "X-Container-Meta-Access-Control-Max-Age": "5",
            "X-Container-Meta-Access-Control-Expose-Headers": "X-Mine x-other",
        },
    )
    answer = await preflight(client, **{"Access-Control-Request-Headers": "x-auth-token, x-y"})
    assert answer["access-control-max-age"] == "5"
    assert answer["access-control-allow-headers"] == "x-auth-token, x-y"
    assert answer["access-control-allow-methods"] == answer["allow"] == "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT"
    assert answer["vary"] == "Origin, Access-Control-Request-Headers"
    assert (await preflight(client, method="BREW")).status == 401
    assert (await client("OPTIONS", "c/o", {"Origin": PAGE}, token=None)).status == 401
    assert (await client("OPTIONS", "none/o", {"Origin": PAGE}, token=None)).status == 401
    listed = await client("GET", "c", {"Origin": PAGE})
    assert {"x-mine", "x-other", "etag"} <= set(listed["access-control-expose-headers"].split(", "))
    assert listed["vary"] == "Accept, Origin"


async def test_what_an_operator_chooses() -> None:
    client = Client(Config(cors_origins=(PAGE,), cors_exposed=("x-ours",)))
    await client("PUT", "c")
    answer = await client("GET", "c", {"Origin": PAGE})
    assert answer["access-control-allow-origin"] == PAGE
    assert "x-ours" in answer["access-control-expose-headers"]
    client = Client(Config(strict_cors=False))
    await client("PUT", "c")
    assert (await client("GET", "c", {"Origin": PAGE}))["access-control-allow-origin"] == PAGE
    assert (await preflight(client)).status == 401


async def test_a_strange_origin_breaks_nothing(client: Client) -> None:
    await client("PUT", "c", {"X-Container-Meta-Access-Control-Allow-Origin": "* http://a"})
    for origin in (b"\xff\xfe", b"null", b"", b"*"):
        assert (await client("GET", "c", {"Origin": origin})).status == 204
        assert (await client("GET", headers={"Origin": origin})).status == 200
