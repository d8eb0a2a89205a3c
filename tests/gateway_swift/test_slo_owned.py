"""Static large objects that own their segments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing

from gateway.objects.large.owned_marks import OWNERS_MAX
from gateway.objects.large.ownership import ACCOUNT, OWNERSHIP, UNDECIDED_SECONDS
from gateway.swift.app import SwiftApp
from store.core.errors import NotFoundError
from store.objects.model import ListingQuery
from store.replicator.progress import Progress
from tests.gateway_swift.client import Answer, Client

OWNED = {"X-Static-Large-Object-Segments": "owned"}
PUT, DELETE = {"multipart-manifest": "put"}, {"multipart-manifest": "delete"}
A, B = b"a" * 100, b"b" * 200_000


async def put(
    client: Client,
    path: str = "c/m",
    paths: tuple[str, ...] = ("segs/a", "segs/b"),
    headers: Mapping[str, str] = OWNED,
    **more: Any,
) -> Answer:
    entries = [{"path": path} for path in paths]
    return await client("PUT", path, headers, json.dumps(entries).encode(), query=PUT, **more)


async def resolve(client: Client) -> None:
    """Let what is owed after the answers be done."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.app.run, Progress("owned segments"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def segments(client: Client) -> list[str]:
    return (await client("GET", "segs")).body.decode().split()


async def ownership(client: Client) -> int:
    try:
        held = await client.store.container(ACCOUNT, OWNERSHIP)
    except NotFoundError:
        return 0
    return len(await client.store.list_objects(held, ListingQuery(limit=1000)))


async def ready(client: Client, headers: Mapping[str, str] | None = None) -> Client:
    await client("PUT", "c", headers)
    await client("PUT", "segs")
    await client("PUT", "segs/a", body=A)
    await client("PUT", "segs/b", body=B)
    return client


@pytest.fixture
async def owning(client: Client) -> Client:
    """A manifest `c/m` that owns `segs/a` and `segs/b`."""
    await ready(client)
    assert (await put(client)).status == 201
    return client


async def test_it_is_a_large_object_like_any(owning: Client) -> None:
    await resolve(owning)
    for method in ("GET", "HEAD"):
        answer = await owning(method, "c/m")
        assert answer["x-static-large-object-segments"] == "owned"
        assert answer["content-length"] == str(len(A + B))
        assert not [name for name in answer.headers if "own" in name and name != "x-static-large-object-segments"]
    assert (await owning("GET", "c/m")).body == A + B
    assert "x-static-large-object-segments" not in (await owning("HEAD", "segs/a")).headers
    listed = (await owning("GET", "c", query={"format": "json"})).json()[0]
    assert set(listed) == {"name", "hash", "bytes", "content_type", "last_modified", "slo_etag"}
    assert await segments(owning) == ["a", "b"]
    info = (await owning("GET", "/info", raw=True)).json()
    assert info["slo"]["allow_owned_segments"] is True


async def test_one_that_does_not_own_leaves_them(client: Client) -> None:
    await ready(client)
    assert (await put(client, headers={})).status == 201
    assert await ownership(client) == 0
    assert (await client("DELETE", "c/m")).status == 204
    await resolve(client)
    assert await segments(client) == ["a", "b"]
    assert (await put(client, headers={"X-Static-Large-Object-Segments": "mine"})).status == 400


@pytest.mark.parametrize("way", ["delete", "put", "large", "post-bulk", "copy", "manifest", "expiry", "with-segments"])
async def test_segments_go_however_the_manifest_goes(owning: Client, way: str) -> None:
    await owning("PUT", "c/other", body=b"other")
    match way:
        case "delete":
            assert (await owning("DELETE", "c/m")).status == 204
        case "put":
            assert (await owning("PUT", "c/m", body=b"new")).status == 201
        case "large":
            assert (await owning("PUT", "c/m", body=b"n" * 100_000)).status == 201
        case "post-bulk":
            await owning("POST", "", {"Content-Type": "text/plain"}, b"/c/m\n", query="bulk-delete")
        case "copy":
            assert (await owning("COPY", "c/other", {"Destination": "c/m"})).status == 201
        case "manifest":
            assert (await put(owning, paths=("c/other",), headers={})).status == 201
        case "expiry":
            assert (await owning("POST", "c/m", {"X-Delete-After": "10"})).status == 202
            await resolve(owning)
            assert await segments(owning) == ["a", "b"]
            owning.clock.advance(20)
            await resolve(owning)
            owning.store.collect_expired()
        case "with-segments":
            answer = await owning("DELETE", "c/m", {"Accept": "application/json"}, query=DELETE)
            assert (answer.json()["Number Deleted"], answer.json()["Errors"]) == (3, [])
            assert await segments(owning) == []
    await resolve(owning)
    assert await segments(owning) == []
    assert await ownership(owning) == 0


async def test_async_removal(owning: Client) -> None:
    assert (await owning("DELETE", "c/m", query={**DELETE, "async": "on"})).status == 204
    await resolve(owning)
    assert await segments(owning) == []


async def test_nothing_has_to_be_told(owning: Client) -> None:
    """Another process removed the manifest, and died."""
    await owning("DELETE", "c/m")
    owning.app = SwiftApp(owning.store, owning.people, clock=owning.clock)
    await resolve(owning)
    assert await segments(owning) == []
    assert await ownership(owning) == 0


async def test_its_container_made_anew_is_another(owning: Client) -> None:
    await owning("DELETE", "c/m")
    await owning("DELETE", "c")
    await owning("PUT", "c")
    await resolve(owning)
    assert await segments(owning) == []


async def test_what_was_written_over_is_somebody_elses(owning: Client) -> None:
    """Even where it is the same, byte for byte."""
    await owning("PUT", "segs/a", body=A)
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == ["a"]
    assert await ownership(owning) == 0


async def test_a_container_of_segments_made_anew_is_another(owning: Client) -> None:
    await owning("DELETE", "segs/a")
    await owning("DELETE", "segs/b")
    await owning("DELETE", "segs")
    await owning("PUT", "segs")
    await owning("PUT", "segs/a", body=A)
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == ["a"]
    assert await ownership(owning) == 0


async def test_what_is_said_of_a_segment_may_change(owning: Client) -> None:
    await owning("POST", "segs/a", {"X-Object-Meta-Colour": "red"})
    await owning("POST", "c/m", {"X-Object-Meta-Colour": "red"})
    await resolve(owning)
    assert (await owning("GET", "c/m")).body == A + B
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == []


async def test_copies_own_nothing(owning: Client) -> None:
    await owning("COPY", "segs/a", {"Destination": "segs/copy"})
    await owning("COPY", "c/m", {"Destination": "c/n"}, query={"multipart-manifest": "get"})
    assert "x-static-large-object-segments" not in (await owning("HEAD", "c/n")).headers
    await owning("DELETE", "c/n")
    await resolve(owning)
    assert (await owning("GET", "c/m")).body == A + B
    await owning("COPY", "c/m", {"Destination": "c/o"})
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == ["copy"]
    assert (await owning("GET", "c/o")).body == A + B


async def test_a_copied_manifest_may_own_too(owning: Client) -> None:
    answer = await owning("COPY", "c/m", {"Destination": "c/n", **OWNED}, query={"multipart-manifest": "get"})
    assert answer.status == 201
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert (await owning("GET", "c/n")).body == A + B


async def test_segments_go_with_the_last_that_owns_them(owning: Client) -> None:
    await owning("PUT", "segs/c", body=b"c")
    assert (await put(owning, "c/n", ("segs/b", "segs/c"))).status == 201
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == ["b", "c"]
    assert (await owning("GET", "c/n")).body == B + b"c"
    await owning("DELETE", "c/n", query=DELETE)
    assert await segments(owning) == []


async def test_a_manifest_written_over_by_its_next_state(owning: Client) -> None:
    """Segments that both name stay."""
    await owning("PUT", "segs/c", body=b"c")
    assert (await put(owning, paths=("segs/b", "segs/c"))).status == 201
    await resolve(owning)
    assert (await owning("GET", "c/m")).body == B + b"c"
    assert await segments(owning) == ["b", "c"]
    assert await ownership(owning) == 1


async def test_owners_are_not_without_number(client: Client) -> None:
    await ready(client)
    for number in range(OWNERS_MAX):
        assert (await put(client, f"c/{number}")).status == 201
    answer = await put(client, "c/more")
    assert (answer.status, b"Owned by" in answer.body) == (400, True)
    await client("DELETE", "c/0")
    await resolve(client)
    assert (await put(client, "c/more")).status == 201


async def test_a_segment_named_twice(client: Client) -> None:
    await ready(client)
    assert (await put(client, paths=("segs/a", "/segs/a", "segs/a"))).status == 201
    assert (await client("GET", "c/m")).body == A * 3
    answer = await client("DELETE", "c/m", {"Accept": "application/json"}, query=DELETE)
    assert answer.json()["Number Deleted"] == 2
    assert await segments(client) == ["b"]


async def test_manifests_within(client: Client) -> None:
    await ready(client)
    await put(client, "c/inner", headers={})
    answer = await put(client, paths=("c/inner",))
    assert (answer.status, b"must own" in answer.body) == (400, True)
    await put(client, "c/inner")
    assert (await put(client, paths=("c/inner",))).status == 201
    assert (await client("GET", "c/m")).body == A + B
    await client("DELETE", "c/m")
    await resolve(client)
    await resolve(client)
    assert await segments(client) == []
    assert (await client("HEAD", "c/inner")).status == 404
    assert await ownership(client) == 0


async def test_what_cannot_be_owned(client: Client) -> None:
    await ready(client)
    await client("PUT", "segs/link", {"X-Symlink-Target": "segs/a"})
    await client("PUT", "old", {"X-Versions-Enabled": "true"})
    await client("PUT", "old/a", body=A)
    for path in ("segs/link", "old/a"):
        answer = await put(client, paths=("segs/b", path))
        assert (answer.status, b"owned" in answer.body) == (400, True)
    assert await ownership(client) == 0


async def test_heartbeat(client: Client) -> None:
    await ready(client)
    entries = json.dumps([{"path": "segs/a"}]).encode()
    answer = await client("PUT", "c/m", OWNED, entries, query={**PUT, "heartbeat": "on"})
    assert answer.status == 202
    await client("DELETE", "c/m")
    await resolve(client)
    assert await segments(client) == ["b"]


# -- access ------------------------------------------------------------------------------------------------------


async def test_who_makes_a_manifest_own_must_write_the_segments(client: Client) -> None:
    await ready(client, {"X-Container-Write": "away:sven", "X-Container-Read": "away:sven"})
    await client("POST", "segs", {"X-Container-Read": "away:sven"})
    answer = await put(client, token="stranger")
    assert (answer.status, b"403 Forbidden" in answer.body) == (400, True)
    assert (await put(client, token="stranger", headers={})).status == 201
    await client("POST", "segs", {"X-Container-Write": "away:sven"})
    assert (await put(client, token="stranger")).status == 201


async def test_who_removes_it_needs_no_more(owning: Client) -> None:
    await owning("POST", "c", {"X-Container-Write": "away:sven"})
    answer = await owning("DELETE", "c/m", {"Accept": "application/json"}, query=DELETE, token="stranger")
    assert answer.json()["Number Deleted"] == 3
    assert await segments(owning) == []


# -- versions ----------------------------------------------------------------------------------------------------


async def test_a_version_keeps_its_segments(client: Client) -> None:
    await ready(client, {"X-Versions-Enabled": "true"})
    answer = await put(client)
    version = {"version-id": answer["x-object-version-id"]}
    await client("PUT", "c/m", body=b"new")
    await client("DELETE", "c/m")
    await client("DELETE", "c/m", query=DELETE)
    await resolve(client)
    assert (await client("GET", "c/m", query=version)).body == A + B
    assert (await client("PUT", "c/m", query=version)).status == 201
    await resolve(client)
    assert (await client("GET", "c/m")).body == A + B
    assert (await client("DELETE", "c/m", query=version)).status == 204
    await resolve(client)
    assert await segments(client) == []
    assert await ownership(client) == 0


async def test_a_version_goes_with_its_segments(client: Client) -> None:
    await ready(client, {"X-Versions-Enabled": "true"})
    version = (await put(client))["x-object-version-id"]
    await client("PUT", "c/m", body=b"new")
    await client("DELETE", "c/m", query={**DELETE, "version-id": version})
    assert await segments(client) == []
    assert (await client("GET", "c/m")).body == b"new"


async def test_one_from_before_becomes_a_version(owning: Client) -> None:
    await owning("POST", "c", {"X-Versions-Enabled": "true"})
    await owning("PUT", "c/m", body=b"new")
    await resolve(owning)
    assert await segments(owning) == ["a", "b"]
    rows = (await owning("GET", "c", query="versions")).json()
    version = {"version-id": rows[1]["version_id"]}
    assert (await owning("GET", "c/m", query=version)).body == A + B
    await owning("DELETE", "c/m", query=version)
    await resolve(owning)
    assert await segments(owning) == []


async def test_one_that_expires_is_a_version_still(client: Client) -> None:
    await ready(client, {"X-Versions-Enabled": "true"})
    version = {"version-id": (await put(client, headers={**OWNED, "X-Delete-After": "10"}))["x-object-version-id"]}
    client.clock.advance(20)
    client.store.collect_expired()
    await resolve(client)
    assert (await client("GET", "c/m")).status == 404
    assert (await client("GET", "c/m", query=version)).body == A + B


async def test_suspended_versions(client: Client) -> None:
    await ready(client, {"X-Versions-Enabled": "true"})
    await client("POST", "c", {"X-Versions-Enabled": "false"})
    await put(client)
    await resolve(client)
    assert (await client("GET", "c/m")).body == A + B
    await client("PUT", "c/m", body=b"new")
    await resolve(client)
    assert await segments(client) == []


@pytest.mark.parametrize("header", ["X-Versions-Location", "X-History-Location"])
async def test_the_older_kind_is_refused(client: Client, header: str) -> None:
    await client("PUT", "kept")
    await ready(client, {header: "kept"})
    assert (await put(client)).status == 409
    assert await ownership(client) == 0
    assert await segments(client) == ["a", "b"]


@pytest.mark.parametrize("header", ["X-Versions-Location", "X-History-Location"])
async def test_the_older_kind_is_refused_afterwards(owning: Client, header: str) -> None:
    assert (await owning("POST", "c", {header: "kept"})).status == 409
    assert (await owning("POST", "c", {"X-Versions-Enabled": "true"})).status == 204


# -- what is refused, and what comes in between --------------------------------------------------------------------


async def test_a_manifest_that_is_refused_owns_nothing(owning: Client) -> None:
    assert (await put(owning, headers={**OWNED, "If-None-Match": "*"})).status == 412
    assert (await put(owning, headers={**OWNED, "ETag": "wrong"})).status == 422
    assert await ownership(owning) == 1
    await owning("DELETE", "c/m")
    await resolve(owning)
    assert await segments(owning) == []


async def test_an_expired_manifest_may_be_shown_until_it_is_collected() -> None:
    from gateway.swift.config import Config

    client = await ready(Client(Config(open_expired=True)))
    await put(client, headers={**OWNED, "X-Delete-After": "10"})
    client.clock.advance(20)
    await resolve(client)
    assert (await client("GET", "c/m")).status == 404
    assert (await client("GET", "c/m", {"X-Open-Expired": "true"})).body == A + B
    await client("POST", "c/m", {"X-Open-Expired": "true"})
    await resolve(client)
    assert (await client("GET", "c/m")).body == A + B


async def test_a_ownership_record_that_was_never_made_true_takes_nothing(client: Client) -> None:
    """The process died between the marks and the manifest."""
    await ready(client)

    async def dies(*_args: Any, **_more: Any) -> Any:
        raise RuntimeError("killed")

    put_ = client.store.put
    for _ in range(2):
        client.store.put = _put_or(put_, dies)  # type: ignore[method-assign]
        assert (await put(client)).status == 500
    client.store.put = put_  # type: ignore[method-assign]
    assert await ownership(client) == 2
    await resolve(client)
    assert await ownership(client) == 2
    assert (await put(client)).status == 201
    await client("DELETE", "c/m")
    await resolve(client)
    assert await segments(client) == ["a", "b"]  # undecided
    client.clock.advance(UNDECIDED_SECONDS + 1)
    await resolve(client)
    assert await segments(client) == []  # one that came to be is gone, and no other did
    assert await ownership(client) == 0


async def test_a_ownership_record_that_was_never_made_true_takes_nothing_at_all(client: Client) -> None:
    await ready(client)

    async def dies(*_args: Any, **_more: Any) -> Any:
        raise RuntimeError("killed")

    put_ = client.store.put
    client.store.put = _put_or(put_, dies)  # type: ignore[method-assign]
    assert (await put(client)).status == 500
    client.store.put = put_  # type: ignore[method-assign]
    client.clock.advance(UNDECIDED_SECONDS + 1)
    await resolve(client)
    assert await segments(client) == ["a", "b"]
    assert await ownership(client) == 0
    assert not [name for name in (await _head(client, "a")) if name.startswith(".own")]


def _put_or(store_it: Any, dies: Any) -> Any:
    async def call(container: Any, name: str, *args: Any, **more: Any) -> Any:
        return await (dies if name == "m" else store_it)(container, name, *args, **more)

    return call


async def _head(client: Client, name: str) -> Mapping[str, str]:
    container = await client.store.container("AUTH_home-id", "segs")
    return (await client.store.head(container, name)).head.headers
