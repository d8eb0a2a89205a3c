"""Metadata of accounts, containers and objects, at and over every limit."""

from __future__ import annotations

import pytest

from gateway.swift.config import Limits
from gateway.swift.protocol.description import describe
from gateway.swift.protocol.request import Request
from store.objects.model import ObjectHead
from tests.gateway_http.harness import running
from tests.gateway_swift.client import Client
from tests.gateway_swift.test_signed_scope import no_answer, no_body

KINDS = [("Account", ""), ("Container", "c"), ("Object", "c/o")]


@pytest.fixture
async def ready(client: Client) -> Client:
    await client.fill("c", ["o"])
    return client


def writer(method: str, kind: str) -> str:
    """Who may: an account is PUT by a reseller admin."""
    return "reseller" if (method, kind) == ("PUT", "Account") else "owner"


def meta(kind: str, count: int, name: int = 0, value: int = 0) -> dict[str, str | bytes]:
    return {f"X-{kind}-Meta-{index:02}{'n' * (name - 2)}": "v" * value for index in range(count)}


@pytest.mark.parametrize(("kind", "path"), KINDS)
@pytest.mark.parametrize(
    ("count", "name", "value", "fits"),
    [
        (1, 128, 256, True),
        (1, 129, 1, False),
        (1, 1, 257, False),
        (90, 2, 1, True),
        (91, 2, 1, False),
        (16, 128, 128, True),
        (16, 128, 129, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_limits(
    ready: Client, kind: str, path: str, count: int, name: int, value: int, fits: bool, method: str
) -> None:
    headers = meta(kind, count, name, value)
    answer = await ready(method, path, headers, token=writer(method, kind))
    assert (answer.status < 300) is fits
    answer = await ready("HEAD", path)
    shown = {name for name in answer.headers if name.startswith(f"x-{kind.lower()}-meta-")}
    assert shown == ({name.lower() for name in headers} if fits else set())


@pytest.mark.parametrize(("kind", "path"), KINDS[:2])
async def test_limits_hold_for_the_sum(ready: Client, kind: str, path: str) -> None:
    for index in range(15):
        assert (await ready("POST", path, {f"X-{kind}-Meta-{index:02}": "v" * 256})).status == 204
    assert (await ready("POST", path, {f"X-{kind}-Meta-99": "v" * 256})).status == 400
    assert (await ready("POST", path, {f"X-Remove-{kind}-Meta-00": "x", f"X-{kind}-Meta-99": "v" * 256})).status == 204
    for index in range(1, 15):
        assert (await ready("POST", path, {f"X-{kind}-Meta-{index:02}": ""})).status == 204
    assert (await ready("POST", path, meta(kind, 89, 2, 1))).status == 204
    assert (await ready("POST", path, {f"X-{kind}-Meta-More": "x"})).status == 400


@pytest.mark.parametrize(("kind", "path"), KINDS)
async def test_refusals(ready: Client, kind: str, path: str) -> None:
    assert (await ready("POST", path, {f"X-{kind}-Meta-": "x"})).status == 400
    assert (await ready("POST", path, {"X-Else": "x" * 8193})).status == 400
    assert (await ready("POST", path, {"X-Else": "x" * 8192})).status < 300


@pytest.mark.parametrize(("kind", "path"), KINDS)
async def test_text_of_all_kinds(ready: Client, kind: str, path: str) -> None:
    assert (await ready("POST", path, {f"X-{kind}-Meta-Ünï": "☃ 'quoted'; = \""})).status < 300
    seen = await ready("HEAD", path)
    assert {"☃ 'quoted'; = \""} == {value for name, value in seen.headers.items() if "-meta-" in name}
    answer = await ready("POST", path, {f"X-{kind}-Meta-Raw": b"\xff\xfe"})
    assert answer.status == (202 if kind == "Object" else 400)


async def test_bytes_that_are_no_text_are_kept_with_objects(ready: Client) -> None:
    assert (await ready("PUT", "c/o", {"X-Object-Meta-Raw": b"\xffr\xe9w", "X-Object-Meta-A": "a"})).status == 201
    scope_fields = (await _raw_fields(ready, "c/o"))[b"x-object-meta-raw"]
    assert scope_fields == b"\xffr\xe9w"
    assert (await ready("COPY", "c/o", {"Destination": "c/p"})).status == 201
    assert (await _raw_fields(ready, "c/p"))[b"x-object-meta-raw"] == b"\xffr\xe9w"
    assert (await ready("COPY", "c/o", {"Destination": "c/q", "X-Object-Meta-Raw": "fine"})).status == 201
    assert (await ready("HEAD", "c/q"))["x-object-meta-raw"] == "fine"
    assert (await ready("POST", "c/o")).status == 202
    assert b"x-object-meta-raw" not in await _raw_fields(ready, "c/o")


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(("kind", "path"), KINDS)
async def test_names_in_any_script_come_back_as_they_were_sent(
    ready: Client, kind: str, path: str, method: str
) -> None:
    names = [f"x-{kind.lower()}-meta-{word}".encode() for word in ("é", "ünï", "\u2603", "中文")]
    if kind == "Object":
        names.append(b"x-object-meta-\xe9")  # of no charset that anybody said
    sent = dict(zip(names, (b"\xc3\xa9", b"ascii", "中: x".encode(), b"1", b"\xff"), strict=False))
    target = f"/v1/AUTH_home-id/{path}".rstrip("/").encode()

    async with running(ready.app) as server:

        async def ask(method: str, fields: dict[bytes, bytes]) -> list[bytes]:
            fields = {b"Host": b"h", b"Connection": b"close", b"Content-Length": b"0", **fields}
            lines = [b"%b: %b" % field for field in fields.items()]
            head = b"\r\n".join([b"%b %b HTTP/1.1" % (method.encode(), target), *lines, b"", b""])
            return (await server.ask(head)).partition(b"\r\n\r\n")[0].split(b"\r\n")

        token = writer(method, kind).encode()
        answer = await ask(method, {b"X-Auth-Token": token, **sent})
        assert answer[0].startswith(b"HTTP/1.1 20")
        for reading in ("HEAD", "GET"):
            answer = await ask(reading, {b"X-Auth-Token": b"owner"})
            fields = [line.partition(b": ") for line in answer if b"-meta-" in line.lower()]
            got = sorted((name.lower(), value) for name, _, value in fields)  # of ASCII letters case says nothing
            assert got == sorted(sent.items())
        if kind != "Object":
            gone = {name.replace(b"x-", b"X-Remove-", 1): b"x" for name in sent}
            await ask("POST", {b"X-Auth-Token": b"owner", **gone})
            answer = await ask("HEAD", {b"X-Auth-Token": b"owner"})
            assert not [line for line in answer if b"-meta-" in line.lower()]


async def _raw_fields(client: Client, path: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: dict[str, object]) -> None:
        fields = message.get("headers")
        if isinstance(fields, list):
            found.update(fields)

    scope = {
        "type": "http",
        "method": "HEAD",
        "raw_path": f"/v1/AUTH_home-id/{path}".encode(),
        "query_string": b"",
        "headers": [(b"x-auth-token", b"owner")],
    }
    await client.app(scope, receive, send)  # type: ignore[arg-type]
    return found


async def test_system_metadata_is_out_of_reach(ready: Client) -> None:
    sly = {
        "X-Object-Sysmeta-A": "x",
        "X-Container-Sysmeta-A": "x",
        "X-Account-Sysmeta-A": "x",
        "X-Object-Transient-Sysmeta-A": "x",
        "X-Backend-A": "x",
        "X-Timestamp": "1",
        ".slo-etag": "x",
        "raw:x": "x",
    }
    for kind, path in KINDS:
        for method in ("PUT", "POST"):
            assert (await ready(method, path, sly, token=writer(method, kind))).status < 300
        seen = await ready("HEAD", path)
        assert not {name.lower() for name in sly} - {"x-timestamp"} & set(seen.headers)
        assert seen["x-timestamp"] != "1"


async def test_headers_that_objects_keep(ready: Client) -> None:
    kept = {
        "Content-Encoding": "gzip",
        "Content-Disposition": "attachment",
        "Cache-Control": "no-store",
        "Content-Language": "de",
        "Expires": "Wed, 21 Oct 2015 07:28:00 GMT",
        "X-Robots-Tag": "noindex",
    }
    await ready("PUT", "c/o", {**kept, "Content-Type": "text/x", "X-Else": "y", "Server": "z"})
    seen = await ready("GET", "c/o")
    assert {name: seen[name.lower()] for name in kept} == kept
    assert not {"x-else", "server"} & set(seen.headers)
    await ready("POST", "c/o", {"Cache-Control": "private", "Content-Type": "text/y"})
    seen = await ready("GET", "c/o")
    assert (seen["cache-control"], seen["content-type"]) == ("private", "text/y")
    assert "content-encoding" not in seen.headers
    await ready("POST", "c/o")
    assert (await ready("GET", "c/o"))["content-type"] == "text/y"


async def test_types_are_guessed(ready: Client) -> None:
    for name, kind in (("a.html", "text/html"), ("a.png", "image/png"), ("a", "application/octet-stream")):
        await ready("PUT", f"c/{name}")
        assert (await ready("HEAD", f"c/{name}"))["content-type"] == kind
    await ready("PUT", "c/a.html", {"Content-Type": "x/y", "X-Detect-Content-Type": "true"})
    assert (await ready("HEAD", "c/a.html"))["content-type"] == "text/html"
    assert (await ready("PUT", "c/o", {"Content-Type": b"\xff/x"})).status == 400


async def test_a_change_moves_the_date(ready: Client) -> None:
    before = await ready("HEAD", "c/o")
    ready.clock.advance(5)
    await ready("POST", "c/o")
    after = await ready("HEAD", "c/o")
    assert float(after["x-timestamp"]) > float(before["x-timestamp"]) + 4
    assert after["last-modified"] != before["last-modified"]
    assert after["etag"] == before["etag"]


async def test_posting_to_nothing(client: Client) -> None:
    assert (await client("POST", "c")).status == 404
    assert (await client("POST", "c/o")).status == 404
    await client("PUT", "c")
    assert (await client("POST", "c/o")).status == 404


def test_a_request_without_any_header_says_nothing() -> None:
    request = Request({"method": "POST", "headers": []}, no_body, no_answer, "tx", 0)
    assert describe(request, Limits(), 0.0, "t") == ObjectHead("t")
