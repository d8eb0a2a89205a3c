"""Objects that end by themselves."""

from __future__ import annotations

import pytest

from tests.gateway_swift.client import Client
from tests.twins.clock import DAWN_US

DAWN = DAWN_US // 1_000_000


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Delete-At": str(DAWN - 10)},
        {"X-Delete-At": "0"},
        {"X-Delete-At": "-5"},
        {"X-Delete-At": "soon"},
        {"X-Delete-At": "1.5"},
        {"X-Delete-After": "0"},
        {"X-Delete-After": "-1"},
        {"X-Delete-After": "soon"},
        {"X-Delete-After": ""},
        {"X-Delete-At": b"\xff"},
        {"X-Delete-At": "9" * 6000},
    ],
)
async def test_refusals(client: Client, headers: dict[str, str | bytes]) -> None:
    await client.fill("c", ["o"])
    for method in ("PUT", "POST"):
        assert (await client(method, "c/o", headers)).status == 400
    assert "x-delete-at" not in (await client("HEAD", "c/o")).headers


async def test_an_end(client: Client) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", {"X-Delete-After": "100"}, b"data")
    ends = int((await client("HEAD", "c/o"))["x-delete-at"])
    assert DAWN + 100 <= ends <= DAWN + 101
    client.clock.advance(98)
    assert (await client("GET", "c/o")).body == b"data"
    client.clock.advance(4)
    for method in ("GET", "HEAD", "POST", "DELETE"):
        assert (await client(method, "c/o")).status == 404
    assert (await client("GET", "c")).body == b""
    assert (await client("PUT", "c/o", {"If-None-Match": "*"})).status == 201
    assert "x-delete-at" not in (await client("HEAD", "c/o")).headers


async def test_ends_are_changed_by_post(client: Client) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", {"X-Delete-At": str(DAWN + 50)})
    await client("POST", "c/o", {"X-Delete-At": str(DAWN + 500)})
    client.clock.advance(60)
    assert (await client("HEAD", "c/o"))["x-delete-at"] == str(DAWN + 500)
    await client("POST", "c/o")
    assert "x-delete-at" not in (await client("HEAD", "c/o")).headers
    client.clock.advance(600)
    assert (await client("HEAD", "c/o")).status == 200
    assert (await client("PUT", "c/far", {"X-Delete-At": "99999999999"})).status == 201
    assert (await client("HEAD", "c/far"))["x-delete-at"] == "9999999999"


async def test_removal_of_what_should_have_ended(client: Client) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", {"X-Delete-At": str(DAWN + 50)})
    assert (await client("DELETE", "c/o", {"X-If-Delete-At": "bad"})).status == 400
    assert (await client("DELETE", "c/o", {"X-If-Delete-At": str(DAWN + 51)})).status == 412
    assert (await client("DELETE", "c/o", {"X-If-Delete-At": str(DAWN + 50)})).status == 204
