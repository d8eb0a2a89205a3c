"""Manifests that own their segments when the store fails, when the process dies, and when many come and go at once.

However a request ended: a manifest that is there can be read, and when everything is settled there are neither
ownership records nor marks nor segments of manifests that are gone; nobody's segments are gone whose manifest never
was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog.testing
import trio

from gateway.objects.large.owned_marks import OWNERS
from gateway.objects.large.ownership import UNDECIDED_SECONDS
from gateway.swift.app import SwiftApp
from tests.gateway_swift.client import HOME, Answer, Client
from tests.gateway_swift.test_slo_owned import DELETE, OWNED, A, B, ownership, put, ready, resolve, segments
from tests.gateway_swift.test_versioning_failures import Failing, over

POINTS = range(36)
"""Every point at which a request can fail, and some behind the last."""
MODES = {"plain": {}, "versions": {"X-Versions-Enabled": "true"}}
WAYS: dict[str, Callable[[Client], Any]] = {
    "delete": lambda client: client("DELETE", "c/m"),
    "with-segments": lambda client: client("DELETE", "c/m", query=DELETE),
    "put": lambda client: client("PUT", "c/m", body=b"new"),
    "large": lambda client: client("PUT", "c/m", body=b"n" * 100_000),
    "next": lambda client: put(client, paths=("segs/b", "segs/c")),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():  # failures are told of at length, which takes long
        yield


class Dying:
    """Lets n calls happen; at the next the process dies, so no later one happens either."""

    def __init__(self) -> None:
        self.left = -1

    async def __call__(self, done: bool) -> None:
        if self.left == 0:
            raise RuntimeError("killed")
        if self.left > 0:
            self.left -= 1


HOOKS: dict[str, Callable[[], Failing | Dying]] = {"fails": Failing, "dies": Dying}


@pytest.fixture
async def owning(client: Client) -> Client:
    """A manifest `c/m` that owns `segs/a` and `segs/b`."""
    await ready(client)
    assert (await put(client)).status == 201
    return client


def anew(client: Client) -> None:
    """Another process serves the same store."""
    client.app = SwiftApp(client.store, client.people, clock=client.clock)


async def marks(client: Client) -> dict[str, str]:
    container = await client.store.container(HOME, "segs")
    heads = {name: (await client.store.head(container, name)).head.headers for name in await segments(client)}
    return {name: headers[OWNERS] for name, headers in heads.items() if OWNERS in headers}


async def resolve_for_good(client: Client) -> None:
    anew(client)
    await resolve(client)
    client.clock.advance(UNDECIDED_SECONDS + 1)
    await resolve(client)


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize("mode", MODES)
async def test_a_manifest_comes(kind: str, mode: str) -> None:
    failed = 0
    for point in POINTS:
        client = await ready(Client(), MODES[mode])
        hook = HOOKS[kind]()
        over(client, hook)
        hook.left = point
        answer = await put(client)
        failed += answer.status != 201
        await resolve_for_good(client)
        rows = (await client("GET", "c", query="versions")).json()
        assert rows or answer.status != 201
        if rows:  # with versions it may be one, and not the current
            assert (await client("GET", "c/m", query={"version-id": rows[0]["version_id"]})).body == A + B
            await _remove_for_good(client)
            await resolve(client)
            assert await segments(client) == []
        else:
            assert await segments(client) == ["a", "b"]
            assert await marks(client) == {}
        assert await ownership(client) == 0
    assert 10 <= failed < len(POINTS)


async def _remove_for_good(client: Client) -> None:
    for row in (await client("GET", "c", query="versions")).json():
        await client("DELETE", f"c/{row['name']}", query={"version-id": row["version_id"]})


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_manifest_goes(kind: str, way: str) -> None:
    """`c/n` owns one of the segments too and stays."""
    failed = 0
    for point in POINTS:
        client = await ready(Client())
        await client("PUT", "segs/c", body=b"c")
        await put(client)
        await put(client, "c/n", ("segs/b",))
        hook = HOOKS[kind]()
        over(client, hook)
        hook.left = point
        answer = await WAYS[way](client)
        failed += answer.status >= 300
        await resolve_for_good(client)
        assert (await client("GET", "c/n")).body == B
        found = await client("GET", "c/m")
        new = found.headers.get("x-static-large-object-segments") == "owned" and found.body != A + B
        if found.body == A + B:
            assert answer.status >= 300
            assert await segments(client) == ["a", "b", "c"]
        else:
            assert await segments(client) == ["b", "c"]
        assert sorted(await marks(client)) == (["a", "b"] if found.body == A + B else ["b", "c"] if new else ["b"])
        assert await ownership(client) == 1 + (new or found.body == A + B)
    assert 1 <= failed < len(POINTS)


@pytest.mark.parametrize("kind", HOOKS)
async def test_segments_go(kind: str) -> None:
    """The manifest is gone already; what removes its segments fails in the middle."""
    failed = 0
    for point in POINTS:
        client = await ready(Client())
        await put(client)
        await put(client, "c/n", ("segs/b",))
        hook = HOOKS[kind]()
        over(client, hook)
        await client("DELETE", "c/m")
        hook.left = point
        try:
            await resolve(client)
        except* RuntimeError:
            failed += 1
        await resolve_for_good(client)
        assert await segments(client) == ["b"]
        assert (await client("GET", "c/n")).body == B
        await client("DELETE", "c/n")
        await resolve(client)
        assert await segments(client) == []
        assert await ownership(client) == 0
    assert failed >= (4 if kind == "dies" else 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gateways", [1, 3])
async def test_many_come_and_go_at_once(mode: str, gateways: int) -> None:
    for seed in range(20):
        dice = random.Random(seed)
        client = await ready(Client(), MODES[mode])
        await client("PUT", "segs/c", body=b"c")
        await put(client, paths=("segs/a", "segs/b", "segs/c"))

        async def turn(_done: bool, dice: random.Random = dice) -> None:
            for _ in range(dice.randrange(4)):
                await trio.sleep(0)

        clients = []
        for _ in range(gateways):
            each = Client()
            each.store, each.people, each.clock = client.store, client.people, client.clock
            each.random = client.random  # tokens are never given out twice
            over(each, turn)
            clients.append(each)

        async def change(number: int, dice: random.Random = dice, clients: list[Client] = clients) -> None:
            each = clients[number % gateways]
            match dice.randrange(5):
                case 0 | 1:
                    answer = await each("DELETE", "c/m", query=dice.choice([{}, DELETE]))
                    assert answer.status in (200, 204, 404)
                case 2:
                    answer = await each("PUT", "c/m", body=b"%d" % number)
                    assert answer.status == 201
                case _:
                    names = dice.sample(["a", "b", "c"], 2)
                    answer = await put(each, dice.choice(["c/m", "c/n"]), tuple(f"segs/{name}" for name in names))
                    assert answer.status in (201, 400, 409)

        async with trio.open_nursery() as nursery:
            for each in clients:
                nursery.start_soon(resolve, each)
            for number in range(8):
                nursery.start_soon(change, number)
        await resolve_for_good(client)
        await _check(client)


async def _check(client: Client) -> None:
    """What is there can be read, and nothing else is left of what was owned."""
    named: set[str] = set()
    rows = (await client("GET", "c", query="versions" if await _versions(client) else {"format": "json"})).json()
    owning = 0
    for row in rows:
        if row["content_type"].startswith("application/x-deleted"):
            continue
        query = {"version-id": row["version_id"]} if "version_id" in row else {}
        answer: Answer = await client("GET", f"c/{row['name']}", query=query)
        assert answer.status == 200
        assert answer.whole
        if answer.headers.get("x-static-large-object-segments") == "owned":
            owning += 1
            body = await client("GET", f"c/{row['name']}", query={**query, "multipart-manifest": "get"})
            named |= {entry["name"].removeprefix("/segs/") for entry in body.json()}
    assert set(await segments(client)) == named
    assert set(await marks(client)) == named
    assert await ownership(client) == owning


async def _versions(client: Client) -> bool:
    return (await client("HEAD", "c")).headers.get("x-versions-enabled") == "True"


async def test_a_writer_who_was_given_up_takes_its_manifest_back(client: Client) -> None:
    """It stood still for an hour between its ownership record and its manifest."""
    await ready(client)

    async def late(done: bool) -> None:
        if not done and await marks(client) and await ownership(client):
            client.clock.advance(UNDECIDED_SECONDS + 1)
            await resolve(other)

    other = Client()
    other.store, other.people, other.clock = client.store, client.people, client.clock
    anew(other)
    over(client, late)
    assert (await put(client)).status in (409, 503)
    anew(client)
    assert (await client("GET", "c/m")).status == 404
    assert await segments(client) == ["a", "b"]
    assert await marks(client) == {}
    assert await ownership(client) == 0


async def test_it_is_removed_before_its_writer_has_its_answer(client: Client) -> None:
    await ready(client)
    other = Client()
    other.store, other.people, other.clock = client.store, client.people, client.clock
    anew(other)

    async def quick(done: bool) -> None:
        if done and (await other("HEAD", "c/m")).status == 200:
            assert (await other("DELETE", "c/m", query=DELETE)).status == 200

    over(client, quick)
    assert (await put(client, headers=OWNED)).status == 201
    assert await segments(client) == []
    assert await ownership(client) == 0


async def test_a_segment_that_is_written_over_just_before_it_would_go(
    owning: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same bytes: no etag tells it from what it was."""
    await owning("DELETE", "c/m")
    remove = owning.store.delete

    async def late(container: Any, name: str, *args: Any, **more: Any) -> Any:
        if name == "a":
            monkeypatch.setattr(owning.store, "delete", remove)
            assert (await owning("PUT", "segs/a", body=A)).status == 201
        return await remove(container, name, *args, **more)

    monkeypatch.setattr(owning.store, "delete", late)
    await resolve(owning)
    assert await segments(owning) == ["a"]
    assert await ownership(owning) == 0


async def test_a_segment_that_is_written_over_just_before_it_is_marked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(client)
    update = client.store.update

    async def late(container: Any, name: str, *args: Any, **more: Any) -> Any:
        if name == "b":
            monkeypatch.setattr(client.store, "update", update)
            assert (await client("PUT", "segs/b", body=B)).status == 201
        return await update(container, name, *args, **more)

    monkeypatch.setattr(client.store, "update", late)
    answer = await put(client)
    assert (answer.status, answer.body) == (409, b"Segment 'b' was changed meanwhile.")
    assert await segments(client) == ["a", "b"]
    assert await marks(client) == {}
    assert await ownership(client) == 0
