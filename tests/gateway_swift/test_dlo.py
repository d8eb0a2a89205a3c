"""Dynamic large objects."""

from __future__ import annotations

import hashlib

import pytest

from gateway.swift.config import Config, Limits
from store.objects.model import Container, ListingQuery, ObjectEntry, Subdir
from tests.gateway_swift.client import Client

PIECES = [b"first ", b"second ", b"third " * 30_000, b"", b"last"]
WHOLE = b"".join(PIECES)
ETAG = hashlib.md5("".join(hashlib.md5(piece).hexdigest() for piece in PIECES).encode()).hexdigest()


@pytest.fixture(params=[10_000, 2], ids=["one-page", "many-pages"])
async def ready(request: pytest.FixtureRequest) -> Client:
    client = Client(Config(limits=Limits(container_listing_limit=request.param)))
    await client("PUT", "c")
    await client("PUT", "segs")
    for index, piece in enumerate(PIECES):
        await client("PUT", f"segs/ö {index}", body=piece)
    await client("PUT", "segs/other", body=b"no")
    answer = await client("PUT", "c/m", {"X-Object-Manifest": "segs/%C3%B6%20", "Content-Type": "x/y"})
    assert answer.status == 201
    return client


async def test_reading(ready: Client) -> None:
    answer = await ready("GET", "c/m")
    assert answer.body == WHOLE
    assert answer["etag"] == f'"{ETAG}"'
    assert answer["x-object-manifest"] == "segs/%C3%B6%20"
    assert answer["content-type"] == "x/y"
    answer = await ready("HEAD", "c/m")
    assert (answer["content-length"], answer["etag"]) == (str(len(WHOLE)), f'"{ETAG}"')


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (3, 9), (6, 13), (12, 100_000), (179_999, 180_017), (180_000, 180_017)]
)
async def test_ranges(ready: Client, start: int, stop: int) -> None:
    answer = await ready("GET", "c/m", {"Range": f"bytes={start}-{stop - 1}"})
    assert (answer.status, answer.body) == (206, WHOLE[start:stop])
    assert answer["content-range"] == f"bytes {start}-{min(stop, len(WHOLE)) - 1}/{len(WHOLE)}"


async def test_other_ranges(ready: Client) -> None:
    assert (await ready("GET", "c/m", {"Range": "bytes=0-1,3-4"})).body == WHOLE
    assert (await ready("GET", "c/m", {"Range": "bytes=-4"})).body == b"last"
    assert (await ready("GET", "c/m", {"Range": "bytes=99999999-"})).status == 416


async def test_conditions(ready: Client) -> None:
    assert (await ready("GET", "c/m", {"If-Match": ETAG})).status == 200
    assert (await ready("GET", "c/m", {"If-None-Match": ETAG})).status == 304
    assert (await ready("HEAD", "c/m", {"If-None-Match": f'"{ETAG}"'})).status == 304
    assert (await ready("HEAD", "c/m", {"If-Match": "x"})).status == 412


async def test_the_manifest_itself(ready: Client) -> None:
    query = {"multipart-manifest": "get"}
    for method in ("GET", "HEAD"):
        answer = await ready(method, "c/m", query=query)
        assert (answer.body, answer["content-length"]) == (b"", "0")
        assert answer["etag"] == hashlib.md5(b"").hexdigest()
    await ready("COPY", "c/m", {"Destination": "c/whole"})
    seen = await ready("GET", "c/whole")
    assert seen.body == WHOLE
    assert "x-object-manifest" not in seen.headers
    await ready("COPY", "c/m", {"Destination": "c/m2"}, query=query)
    seen = await ready("GET", "c/m2")
    assert (seen.body, seen["x-object-manifest"]) == (WHOLE, "segs/%C3%B6%20")


async def test_posts(ready: Client) -> None:
    await ready("POST", "c/m", {"X-Object-Manifest": "segs/other"})
    assert (await ready("GET", "c/m")).body == b"no"
    await ready("POST", "c/m")
    assert (await ready("GET", "c/m")).body == b""


@pytest.mark.parametrize("value", ["", "c", "c/", "/c", "c//x", "c/x?y", "c/x&y", b"\xff/x"])
async def test_manifests_that_name_no_prefix(ready: Client, value: str) -> None:
    assert (await ready("PUT", "c/x", {"X-Object-Manifest": value})).status == 400


async def test_segments_are_read_in_the_principals_name(ready: Client) -> None:
    await ready("POST", "c", {"X-Container-Read": ".r:*"})
    assert (await ready("GET", "c/m", token=None)).status == 401
    await ready("POST", "segs", {"X-Container-Read": ".r:*,.rlistings"})
    assert (await ready("GET", "c/m", token=None)).body == WHOLE
    await ready("DELETE", "segs/ö 0")
    assert (await ready("GET", "c/m")).body == WHOLE[len(PIECES[0]) :]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("index", [0, 1])
async def test_segments_that_change_meanwhile(
    ready: Client, monkeypatch: pytest.MonkeyPatch, gone: bool, index: int
) -> None:
    listed = ready.store.list_objects

    async def stale(container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        entries = await listed(container, query)
        return [
            entry._replace(**({"name": f"{entry.name}x"} if gone else {"etag": "0" * 32}))  # type: ignore[arg-type]
            if isinstance(entry, ObjectEntry) and entry.name.endswith(str(index))
            else entry
            for entry in entries
        ]

    monkeypatch.setattr(ready.store, "list_objects", stale)
    answer = await ready("GET", "c/m")
    if index:
        assert (answer.status, answer.whole, answer.body) == (200, False, PIECES[0])
    else:
        assert (answer.status, answer.whole) == (409, True)


async def test_too_many_segments() -> None:
    client = Client(Config(limits=Limits(container_listing_limit=2)))
    await client.fill("c", [f"s{index:02}" for index in range(19)], b"x")
    await client("PUT", "c/m", {"X-Object-Manifest": "c/s"})
    assert (await client("GET", "c/m")).body == b"x" * 19
    await client.fill("c", ["s19"])
    for method in ("GET", "HEAD"):
        assert (await client(method, "c/m")).status == 409
    assert (await client("GET", "c/m", query={"multipart-manifest": "get"})).status == 200


async def test_nothing_under_the_prefix(ready: Client) -> None:
    await ready("PUT", "c/e", {"X-Object-Manifest": "segs/none"})
    answer = await ready("GET", "c/e")
    assert (answer.status, answer.body, answer["content-length"]) == (200, b"", "0")
    await ready("PUT", "c/e", {"X-Object-Manifest": "none/none"})
    assert (await ready("GET", "c/e")).status == 404
