"""Versions in a container that the client chose: `X-Versions-Location` (stack) and `X-History-Location`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_swift.client import Client

MARKER = "application/x-deleted;swift_versions_deleted=1"


async def kept(client: Client, header: str) -> None:
    await client("PUT", "old")
    assert (await client("PUT", "box", {header: "old"})).status == 201


async def body(client: Client, path: str = "box/a") -> bytes | int:
    answer = await client("GET", path)
    return answer.body if answer.status == 200 else answer.status


async def archived(client: Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await client("GET", "old", query={"format": "json"})).json()
    return rows


@pytest.mark.parametrize("header", ["X-Versions-Location", "X-History-Location"])
async def test_what_is_written_over_is_kept(client: Client, header: str) -> None:
    await kept(client, header)
    assert (await client("HEAD", "box"))[header.lower()] == "old"
    await client("PUT", "box/a", {"X-Object-Meta-Taste": "sour", "Content-Type": "x/y"}, b"one")
    assert await archived(client) == []
    await client("PUT", "box/a", body=b"t" * 100_000)
    await client("PUT", "box/a", body=[b"thr", b"ee"], chunked=True)
    first, second = await archived(client)
    assert first["name"].startswith("001a/")
    answer = await client("GET", f"old/{first['name']}")
    assert (answer.body, answer["content-type"], answer["x-object-meta-taste"]) == (b"one", "x/y", "sour")
    assert await body(client, f"old/{second['name']}") == b"t" * 100_000
    assert await body(client) == b"three"


async def test_stack_brings_back(client: Client) -> None:
    await kept(client, "X-Versions-Location")
    for data in (b"one", b"t" * 100_000, b"three"):
        await client("PUT", "box/a", {"X-Object-Meta-Size": str(len(data))}, data)
    for data in (b"t" * 100_000, b"one"):
        assert (await client("DELETE", "box/a")).status == 204
        assert await body(client) == data
        assert (await client("HEAD", "box/a"))["x-object-meta-size"] == str(len(data))
    assert await archived(client) == []
    assert (await client("DELETE", "box/a")).status == 204
    assert (await client("DELETE", "box/a")).status == 404


async def test_history_notes_deletions(client: Client) -> None:
    await kept(client, "X-History-Location")
    await client("PUT", "box/a", body=b"one")
    assert (await client("DELETE", "box/a")).status == 204
    assert await body(client) == 404
    assert [row["content_type"] == MARKER for row in await archived(client)] == [False, True]
    assert (await client("DELETE", "box/a")).status == 404
    assert len(await archived(client)) == 3


async def test_stack_after_history(client: Client) -> None:
    """A deletion that was noted is undone as one: the state before it comes back."""
    await kept(client, "X-History-Location")
    await client("PUT", "box/a", body=b"one")
    await client("DELETE", "box/a")
    assert (await client("POST", "box", {"X-Versions-Location": "old"})).status == 204
    head = await client("HEAD", "box")
    assert (head["x-versions-location"], "x-history-location" in head.headers) == ("old", False)
    assert (await client("DELETE", "box/a")).status == 204
    assert await body(client) == b"one"
    assert await archived(client) == []


async def test_a_marker_below_what_is_there(client: Client) -> None:
    await kept(client, "X-History-Location")
    await client("PUT", "box/a", body=b"one")
    await client("DELETE", "box/a")
    await client("PUT", "box/a", body=b"two")
    await client("POST", "box", {"X-Versions-Location": "old"})
    assert (await client("DELETE", "box/a")).status == 204
    assert await body(client) == 404
    assert len(await archived(client)) == 2


async def test_nothing_is_written_over_that_cannot_be_kept(client: Client) -> None:
    await client("PUT", "box", {"X-Versions-Location": "nowhere"})
    assert (await client("PUT", "box/a", body=b"one")).status == 201
    assert (await client("PUT", "box/a", body=b"two")).status == 412
    assert (await client("PUT", "box/a", body=b"t" * 100_000)).status == 412
    assert await body(client) == b"one"
    assert (await client("DELETE", "box/a")).status == 204
    await client("POST", "box", {"X-History-Location": "nowhere"})
    await client("PUT", "box/a", body=b"one")
    assert (await client("DELETE", "box/a")).status == 412
    assert await body(client) == b"one"


async def test_conditions(client: Client) -> None:
    await kept(client, "X-Versions-Location")
    await client("PUT", "box/a", body=b"one")
    for headers in ({"If-None-Match": "*"}, {"If-Match": "other"}):
        assert (await client("PUT", "box/a", headers, b"no")).status == 412
    assert (await client("DELETE", "box/a", {"If-Match": "other"})).status == 412
    assert await archived(client) == []
    etag = (await client("HEAD", "box/a"))["etag"]
    assert (await client("PUT", "box/a", {"If-Match": etag}, b"two")).status == 201
    assert (await client("DELETE", "box/a", {"If-Match": etag})).status == 412


async def test_headers(client: Client) -> None:
    assert (await client("PUT", "box", {"X-Versions-Location": "a/b"})).status == 412
    both = {"X-Versions-Location": "a", "X-History-Location": "b"}
    assert (await client("PUT", "box", both)).status == 400
    assert (await client("PUT", "box", {**both, "X-History-Location": ""})).status == 201
    assert (await client("HEAD", "box"))["x-versions-location"] == "a"
    await client("POST", "box", {"X-Versions-Location": ""})
    assert "x-versions-location" not in (await client("HEAD", "box")).headers
    await client("POST", "box", {"X-History-Location": "b", "X-Remove-History-Location": "x"})
    assert (await client("HEAD", "box"))["x-history-location"] == "b"
    await client("POST", "box", {"X-Remove-History-Location": "x"})
    assert "x-history-location" not in (await client("HEAD", "box")).headers
    assert (await client("PUT", "box/a", body=b"one")).status == 201


async def test_links_and_manifests_are_kept_as_such(client: Client) -> None:
    await kept(client, "X-Versions-Location")
    await client.fill("plain", ["target"], b"target")
    await client("PUT", "box/a", {"X-Symlink-Target": "plain/target"})
    await client("PUT", "box/a", body=b'[{"path": "plain/target"}]', query={"multipart-manifest": "put"})
    await client("PUT", "box/a", body=b"plain")
    link, manifest = await archived(client)
    assert (link["symlink_path"].endswith("/plain/target"), manifest["bytes"]) == (True, 6)
    assert (await client("HEAD", f"old/{link['name']}", query={"symlink": "get"}))["x-symlink-target"] == "plain/target"
    await client("DELETE", "box/a")
    assert (await client("HEAD", "box/a"))["x-static-large-object"] == "True"
    await client("DELETE", "box/a")
    assert await body(client) == b"target"


@pytest.mark.parametrize("location", ["X-Versions-Location", "X-History-Location"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_not_what_was_announced_leaves_no_version(location: str, chunked: bool) -> None:
    client = Client()
    await client("PUT", "old")
    await client("PUT", "c", {location: "old"})
    await client("PUT", "c/o", body=b"1")
    for headers in ({}, {"If-None-Match": "*"}):
        answer = await client("PUT", "c/o", {"ETag": "0" * 32, **headers}, b"broken", chunked=chunked)
        assert answer.status in (412, 422) if headers else answer.status == 422
    assert (await client("HEAD", "old"))["x-container-object-count"] == "0"
    await client("DELETE", "c/o")
    assert (await client("GET", "c/o")).status == 404
