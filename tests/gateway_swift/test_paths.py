"""What a path names, and what is answered where it names nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from tests.gateway_swift.client import HOME, Client


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("//", 404),
        ("/v1", 412),
        ("/v1/", 412),
        ("/nothing", 412),
        ("/v1//c", 412),
        ("/v1/a//o", 404),
        ("/v1//c/o", 404),
        ("/v1///o", 404),
        ("/v1/AUTH_home-id//", 204),
        ("/v1/a//", 403),
        ("/v2/a", 400),
        ("/v2/a/c/o", 400),
        ("/v1.0/AUTH_home-id", 204),
        ("/v1/AUTH_home-id/", 204),
        ("/v1/AUTH_home-id/c%ffd", 412),
        ("/v1/AUTH_home-id/c%00d", 412),
        ("/v1/AUTH_home-id/c/o%00", 412),
        ("/v1/AUTH_home-id/c/%ed%a0%80", 412),
        ("/healthcheck", 200),
        ("/info", 200),
    ],
)
async def test_statuses(client: Client, path: str, status: int) -> None:
    answer = await client("GET", path.encode(), raw=True)
    assert answer.status == status


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("c", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("c/o", "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT"),
    ],
)
async def test_methods(client: Client, path: str, allowed: str) -> None:
    for method in ("PATCH", "get", "UPDATE", "REPLICATE", "BREW"):
        answer = await client(method, path, token=None)
        assert (answer.status, answer["allow"]) == (405, allowed)
    answer = await client("OPTIONS", path, token=None)
    assert (answer.status, answer["allow"]) == (200, allowed)
    preflight = {"Origin": "http://x", "Access-Control-Request-Method": "GET"}
    assert (await client("OPTIONS", path, preflight, token=None)).status == (401 if path else 200)


NAMES = [
    "plain",
    "with space",
    "with/slashes//and/./dots/../",
    "percent%25 and %zz",
    "ünïcode-\U0001f300-\ufffe",
    "?query=no#fragment",
    "line\nbreak\ttab\x01",
    ".",
    "..",
    "/leading",
    "<xml>&\"'",
    "x" * 1024,
    "é" * 512,
]


async def test_names_of_all_kinds(client: Client) -> None:
    await client("PUT", "c")
    for name in NAMES:
        answer = await client("PUT", f"c/{name}", body=name.encode())
        assert answer.status == 201, name
        assert (await client("GET", f"c/{name}")).body == name.encode()
    listed = (await client("GET", "c", query={"format": "json"})).json()
    assert [row["name"] for row in listed] == sorted(NAMES, key=str.encode)
    assert (await client("GET", "c")).body == "".join(f"{name}\n" for name in sorted(NAMES, key=str.encode)).encode()
    assert (await client("GET", "c", query={"format": "xml"})).status == 200
    for name in NAMES:
        assert (await client("DELETE", f"c/{name}")).status == 204


async def test_names_that_are_too_long(client: Client) -> None:
    await client("PUT", "c")
    assert (await client("PUT", "c/" + "x" * 1025)).status == 400
    assert (await client("PUT", "c/" + "é" * 513)).status == 400
    assert (await client("GET", "c/" + "x" * 1025)).status == 404
    assert (await client("PUT", "é" * 128)).status == 201
    answer = await client("PUT", "x" * 257)
    assert (answer.status, answer.body) == (400, b"Container name length of 257 longer than 256")
    answer = await client("GET", account="AUTH_" + "x" * 300, token="reseller")
    assert (answer.status, answer.body) == (400, b"Account name length of 305 longer than 256")


async def test_ids_of_requests(client: Client) -> None:
    one, two = await client("HEAD"), await client("HEAD", headers={"X-Trans-Id-Extra": "more or/less" + "x" * 40})
    assert one["x-trans-id"] != two["x-trans-id"]
    assert len(one["x-trans-id"]) == 34
    assert two["x-trans-id"].endswith("-more%20or/less" + "x" * 20)
    assert one["date"].endswith("GMT")


@given(st.binary(max_size=60))
def test_any_path_is_refused_in_words(raw: bytes) -> None:
    async def never() -> dict[str, object]:
        raise AssertionError

    async def nothing(message: object) -> None:
        return

    request = Request({"method": "GET", "headers": []}, never, nothing, "tx", 0)
    status = 200
    try:
        request.split(b"/v1/" + raw)
    except RefusedError as error:
        status = error.status
    assert status in (200, 404, 412)
    if status == 200:
        assert request.account
        assert request.container or not request.object


async def test_repeated_headers_are_joined(client: Client) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": f"/v1/{HOME}".encode(),
        "query_string": b"",
        "headers": [(b"x-auth-token", b"owner"), (b"x-account-meta-a", b"1"), (b"x-account-meta-a", b"2")],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: object) -> None:
        return

    await client.app(scope, receive, send)
    assert (await client("HEAD"))["x-account-meta-a"] == "1,2"


async def test_lifespan(client: Client) -> None:
    coming = ["lifespan.startup", "lifespan.shutdown"]
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": coming.pop(0)}

    async def send(message: object) -> None:
        sent.append(message)

    await client.app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
