"""Object versioning: `X-Versions-Enabled`, version ids, delete markers, listings of versions."""

from __future__ import annotations

import pytest

from tests.gateway_swift.client import HOME, Answer, Client

VERSION = "x-object-version-id"


@pytest.fixture
async def kept(client: Client) -> Client:
    assert (await client("PUT", "box", {"X-Versions-Enabled": "true"})).status == 201
    return client


async def put(client: Client, body: bytes, path: str = "box/a", **headers: str) -> str:
    answer = await client("PUT", path, headers, body)
    assert answer.status == 201, answer.body
    return answer[VERSION]


async def get(client: Client, version: str = "", path: str = "box/a") -> Answer:
    return await client("GET", path, query={"version-id": version} if version else None)


async def test_info_says_so(client: Client) -> None:
    info = (await client("GET", "/info", raw=True)).json()
    assert info["object_versioning"] == {}
    assert info["versioned_writes"] == {"allowed_flags": ["x-versions-location", "x-history-location"]}


async def test_every_write_is_kept(kept: Client) -> None:
    assert (await kept("HEAD", "box"))["x-versions-enabled"] == "True"
    first, second = await put(kept, b"one"), await put(kept, b"two" * 40_000)
    assert first < second
    now = await get(kept)
    assert (now.body, now[VERSION]) == (b"two" * 40_000, second)
    assert now["content-location"] == f"/v1/{HOME}/box/a?version-id={second}"
    old = await get(kept, first)
    assert (old.status, old.body, old[VERSION]) == (200, b"one", first)
    assert (await kept("HEAD", "box/a"))["etag"] == now["etag"]
