"""Listings of versions: pages, markers, prefixes, delimiters, both directions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.gateway_swift.client import Client

Row = dict[str, Any]


@pytest.fixture
async def filled(client: Client) -> Client:
    """`a` twice, `b` removed, `c` from before, `d/1` and `d/2` twice each."""
    await client.fill("box", ["c"], b"before")
    await client("POST", "box", {"X-Versions-Enabled": "true"})
    for name in ("a", "a", "b", "d/1", "d/2", "d/1", "d/2"):
        assert (await client("PUT", f"box/{name}", body=b"data")).status == 201
    assert (await client("DELETE", "box/b")).status == 204
    return client


async def rows(client: Client, query: str = "") -> list[Row]:
    answer = await client("GET", "box", query=f"versions&{query}")
    assert answer.status == 200
    assert answer["content-type"] == "application/json; charset=utf-8"
    found: list[Row] = answer.json()
    return found


async def test_all(filled: Client) -> None:
    found = await rows(filled)
    assert [row["name"] for row in found] == ["a", "a", "b", "b", "c", "d/1", "d/1", "d/2", "d/2"]
    assert [row["is_latest"] for row in found] == [True, False, True, False, True, True, False, True, False]
    assert found[4]["version_id"] == "null"
    assert [row["content_type"].startswith("application/x-deleted") for row in found[2:4]] == [True, False]
    assert set(found[0]) == {"name", "hash", "bytes", "content_type", "last_modified", "version_id", "is_latest"}
    for first, second in pairwise(found):
        assert first["name"] < second["name"] or first["version_id"] > second["version_id"]
    backwards = await rows(filled, "reverse=on")
    assert backwards == found[::-1]


@pytest.mark.parametrize("reverse", ["off", "on"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_pages(filled: Client, limit: int, reverse: str) -> None:
    everything = await rows(filled, f"reverse={reverse}")
    found: list[Row] = []
    query = f"reverse={reverse}&limit={limit}"
    while page := await rows(filled, query):
        assert len(page) <= limit
        found += page
        assert len(found) <= len(everything)
        last = page[-1]
        query = f"reverse={reverse}&limit={limit}&marker={last['name']}&version_marker={last['version_id']}"
    assert found == everything


async def test_pages_by_name(filled: Client) -> None:
    assert [row["name"] for row in await rows(filled, "marker=a&end_marker=d/2")] == ["b", "b", "c", "d/1", "d/1"]
    found = await rows(filled, "marker=d/2&end_marker=a&reverse=on")
    assert [row["name"] for row in found] == ["d/1", "d/1", "c", "b", "b"]


async def test_prefix_and_delimiter(filled: Client) -> None:
    assert [row["name"] for row in await rows(filled, "prefix=d")] == ["d/1", "d/1", "d/2", "d/2"]
    found = await rows(filled, "delimiter=/")
    assert [row.get("subdir", row.get("name")) for row in found] == ["a", "a", "b", "b", "c", "d/"]
    assert len(await rows(filled, "prefix=d/&delimiter=/")) == 4


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("version_marker=0000000001.00000", {}, 400),
        ("marker=a&version_marker=soon", {}, 400),
        ("delimiter=1", {}, 400),
        ("delimiter=.", {}, 400),
        ("format=xml", {}, 406),
        ("format=plain", {}, 406),
        ("", {"Accept": "text/plain"}, 406),
        ("", {"Accept": "text/plain, */*;q=0.1"}, 200),
        ("format=json", {"Accept": "text/plain"}, 200),
    ],
)
async def test_what_is_refused(filled: Client, query: str, headers: dict[str, str], status: int) -> None:
    assert (await filled("GET", "box", headers, query=f"versions&{query}")).status == status


async def test_a_container_without_versions(client: Client) -> None:
    await client.fill("box", ["a", "b"], b"data")
    assert [(row["version_id"], row["is_latest"]) for row in await rows(client)] == [("null", True)] * 2


async def test_other_listings_show_what_is_current(filled: Client) -> None:
    for query in ("", "format=xml", "format=json"):
        answer = await filled("GET", "box", query=query)
        assert answer.body.count(b"d/1") >= 1
        assert b"\0" not in answer.body
    found = (await filled("GET", "box", query="format=json")).json()
    assert [(row["name"], row["bytes"]) for row in found] == [("a", 4), ("c", 6), ("d/1", 4), ("d/2", 4)]
