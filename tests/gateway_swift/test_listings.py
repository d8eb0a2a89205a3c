"""Listings of accounts and containers: pages, folds and formats."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gateway.swift.protocol import media_types
from store.objects.model import Policy
from tests.gateway_swift.client import Client

NAMES = ["a", "b/1", "b/2", "b/c/3", "d", "z", "é"]


@pytest.fixture
async def filled(client: Client) -> Client:
    await client.fill("c", NAMES, b"xyz")
    return client


def names(body: bytes) -> list[str]:
    return body.decode().splitlines()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, NAMES),
        ({"limit": 2}, ["a", "b/1"]),
        ({"limit": 0}, []),
        ({"limit": "nonsense"}, NAMES),
        ({"limit": "-1"}, NAMES),
        ({"limit": 10000}, NAMES),
        ({"marker": "b/2"}, ["b/c/3", "d", "z", "é"]),
        ({"marker": "b", "end_marker": "d"}, ["b/1", "b/2", "b/c/3"]),
        ({"prefix": "b/"}, ["b/1", "b/2", "b/c/3"]),
        ({"delimiter": "/"}, ["a", "b/", "d", "z", "é"]),
        ({"delimiter": "/", "prefix": "b/"}, ["b/1", "b/2", "b/c/"]),
        ({"delimiter": "/", "marker": "b/"}, ["d", "z", "é"]),
        ({"delimiter": "/c/"}, ["a", "b/1", "b/2", "b/c/", "d", "z", "é"]),
        ({"delimiter": "/", "limit": 2}, ["a", "b/"]),
        ({"reverse": "true"}, ["é", "z", "d", "b/c/3", "b/2", "b/1", "a"]),
        ({"reverse": "on", "marker": "d", "end_marker": "a"}, ["b/c/3", "b/2", "b/1"]),
        ({"reverse": "yes", "delimiter": "/", "marker": "d"}, ["b/", "a"]),
        ({"path": ""}, ["a", "d", "z", "é"]),
        ({"path": "b"}, ["b/1", "b/2"]),
        ({"path": "b/"}, ["b/1", "b/2"]),
        ({"path": "b", "limit": 1}, ["b/1"]),
        ({"path": "none"}, []),
    ],
)
async def test_pages(filled: Client, query: dict[str, str | int], expected: list[str]) -> None:
    answer = await filled("GET", "c", query=query)
    assert names(answer.body) == expected
    assert answer.status == (200 if expected else 204)
    rows = (await filled("GET", "c", query={**query, "format": "json"})).json()
    assert [row.get("name", row.get("subdir")) for row in rows] == expected


async def test_directories_that_are_objects(client: Client) -> None:
    await client.fill("c", ["d", "d/", "d/a", "d/e/", "d/e/f", "d/g/h"])
    assert names((await client("GET", "c", query={"path": "d"})).body) == ["d/a", "d/e/"]
    assert names((await client("GET", "c", query={"path": "d", "marker": "d/a"})).body) == ["d/e/"]
    assert names((await client("GET", "c", query={"path": "d", "reverse": "1"})).body) == ["d/e/", "d/a"]
    assert names((await client("GET", "c", query={"delimiter": "/", "prefix": "d/"})).body) == [
        "d/",
        "d/a",
        "d/e/",
        "d/g/",
    ]


async def test_limits_over_the_most(client: Client) -> None:
    await client("PUT", "c")
    for path in ("", "c"):
        for limit in ("10001", "9" * 5000):
            answer = await client("GET", path, query={"limit": limit})
            assert (answer.status, answer.body) == (412, b"Maximum limit is 10000")


async def test_parameters_that_are_no_text(client: Client) -> None:
    await client("PUT", "c")
    for name in ("marker", "prefix", "delimiter", "end_marker", "path", "format", "limit", "reverse"):
        assert (await client("GET", "c", query=f"{name}=%ff")).status == 400


async def test_containers(client: Client) -> None:
    client = Client(policies=(Policy(0, "gold", default=True), Policy(1, "silver")))
    for name in ("a", "b-1", "b-2"):
        await client.fill(name, ["o"], b"12")
    assert (await client("GET")).body == b"a\nb-1\nb-2\n"
    rows = (await client("GET", query={"format": "json", "delimiter": "-"})).json()
    assert rows[1] == {"subdir": "b-"}
    assert rows[0].pop("last_modified").startswith("2023-11-14T22:13:20.")
    assert rows[0] == {"name": "a", "count": 1, "bytes": 2, "storage_policy": "gold"}
    answer = await client("GET", query={"format": "xml", "delimiter": "-"})
    root = ElementTree.fromstring(answer.body)
    assert (root.tag, root.get("name")) == ("account", "AUTH_home-id")
    assert [child.tag for child in root] == ["container", "subdir"]
    assert root[1].get("name") == "b-"
    assert [child.tag for child in root[0]] == ["name", "count", "bytes", "last_modified", "storage_policy"]


async def test_objects(client: Client) -> None:
    await client.fill("c", ["a&b", "s/x"], b"xyz")
    rows = (await client("GET", "c", query={"format": "json", "delimiter": "/"})).json()
    assert rows[1] == {"subdir": "s/"}
    seen = await client("HEAD", "c/a&b")
    assert rows[0]["hash"] == seen["etag"]
    assert (rows[0]["bytes"], rows[0]["content_type"]) == (3, "application/octet-stream")
    assert len(rows[0]["last_modified"]) == 26
    answer = await client("GET", "c", query={"format": "xml", "delimiter": "/"})
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<container name="c">')
    root = ElementTree.fromstring(answer.body)
    assert [child.tag for child in root[0]] == ["name", "hash", "bytes", "content_type", "last_modified"]
    assert root[0][0].text == "a&b"
    assert (root[1].tag, root[1][0].text) == ("subdir", "s/")


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ({}, None, "text/plain"),
        ({}, "", "text/plain"),
        ({}, "*/*", "text/plain"),
        ({}, "application/json", "application/json"),
        ({}, "application/xml", "application/xml"),
        ({}, "text/xml", "text/xml"),
        ({}, "application/*", "application/json"),
        ({}, "text/xml;q=0.5, application/json;q=0.9", "application/json"),
        ({"format": "json"}, "text/xml", "application/json"),
        ({"format": "XML"}, None, "application/xml"),
        ({"format": "plain"}, "application/json", "text/plain"),
        ({"format": "nonsense"}, None, "text/plain"),
    ],
)
async def test_formats(client: Client, query: dict[str, str], accept: str | None, kind: str) -> None:
    await client("PUT", "c")
    headers = {} if accept is None else {"Accept": accept}
    for path in ("", "c"):
        for method in ("GET", "HEAD"):
            answer = await client(method, path, headers, query=query)
            assert answer["content-type"] == f"{kind}; charset=utf-8"
            assert answer.status in (200, 204)
        assert answer["content-length"] == "0"


async def test_formats_that_cannot_be(client: Client) -> None:
    await client("PUT", "c")
    assert (await client("GET", "c", {"Accept": "image/png"})).status == 406
    assert (await client("GET", "c", {"Accept": "nonsense"})).status == 400
    assert (await client("GET", "c", {"Accept": "text/plain;q=x"})).status == 400
    assert (await client("GET", "c"))["vary"] == "Accept"


def test_matching() -> None:
    assert media_types.best_match("text/*;q=0.1,*/*;q=0.5", media_types.TYPES) == "text/plain"
    with pytest.raises(ValueError):
        media_types.best_match("a/b/c", media_types.TYPES)


async def test_policies(client: Client) -> None:
    client = Client(policies=(Policy(0, "gold", default=True), Policy(1, "Silver"), Policy(2, "old", deprecated=True)))
    assert (await client("PUT", "c", {"X-Storage-Policy": "SILVER"})).status == 201
    assert (await client("HEAD", "c"))["x-storage-policy"] == "Silver"
    assert (await client("PUT", "c")).status == 202
    assert (await client("PUT", "c", {"X-Storage-Policy": "Silver"})).status == 202
    assert (await client("PUT", "c", {"X-Storage-Policy": "gold"})).status == 409
    assert (await client("POST", "c", {"X-Storage-Policy": "gold"})).status == 204
    answer = await client("PUT", "d", {"X-Storage-Policy": "none"})
    assert (answer.status, answer.body) == (400, b'Invalid X-Storage-Policy "none"')
    assert (await client("PUT", "d", {"X-Storage-Policy": "old"})).status == 400
    assert (await client("PUT", "d")).status == 201
    assert (await client("HEAD", "d"))["x-storage-policy"] == "gold"
    await client("PUT", "c/o", body=b"12345")
    assert (await client("HEAD"))["x-account-storage-policy-silver-bytes-used"] == "5"
