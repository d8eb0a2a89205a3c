"""Versions when the store fails in the middle, and when many write at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing
import trio

from gateway.swift.app import SwiftApp
from store.core.errors import QuorumError
from tests.gateway_swift.client import Client

WRITES = frozenset({"put", "update", "delete", "put_container", "put_account", "commit"})
MODES = {
    "objects": {"X-Versions-Enabled": "true"},
    "stack": {"X-Versions-Location": "old"},
    "history": {"X-History-Location": "old"},
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():  # failures are told of at length, which takes long
        yield


class Between:
    """A store that calls a hook before and after each write, which may wait or fail."""

    def __init__(self, store: Any, hook: Callable[[bool], Any]) -> None:
        self._store = store
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name == "upload":
            return self._upload
        return self._wrapped(method) if name in WRITES else method

    def _wrapped(self, method: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._hook(False)
            result = await method(*args, **kwargs)
            await self._hook(True)
            return result

        return call

    @asynccontextmanager
    async def _upload(self, *args: Any) -> Any:
        async with self._store.upload(*args) as upload:
            upload.commit = self._wrapped(upload.commit)
            yield upload


class Failing:
    """Fails at the nth call, then never."""

    def __init__(self) -> None:
        self.left = -1

    async def __call__(self, done: bool) -> None:
        self.left -= 1
        if self.left == -1:
            raise QuorumError("writing", 2, 1, {})


def over(client: Client, hook: Callable[[bool], Any]) -> None:
    client.app = SwiftApp(Between(client.store, hook), client.people, clock=client.clock, random=client.random)


def points() -> Iterator[int]:
    """Every point at which a request can fail, and some behind the last."""
    return iter(range(1, 16))


async def old_bodies(client: Client, mode: str) -> list[bytes]:
    if mode != "objects":
        names = (await client("GET", "old")).body.decode().split()
        return [(await client("GET", f"old/{name}")).body for name in names]
    rows = (await client("GET", "box", query="versions")).json()
    answers = [await client("GET", "box/a", query={"version-id": row["version_id"]}) for row in rows]
    return [answer.body for answer in answers if answer.status == 200]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [3, 70_000])
@pytest.mark.parametrize("before", [False, True])
async def test_no_version_is_lost_when_a_write_fails(mode: str, size: int, before: bool) -> None:
    """`before`: the object was there before its container kept versions."""
    failed = 0
    for point in points():
        client = Client()
        failing = Failing()
        over(client, failing)
        await client("PUT", "old")
        await client("PUT", "box", {} if before else MODES[mode])
        await client("PUT", "box/a", body=b"1" * size)
        await client("POST", "box", MODES[mode])
        failing.left = point
        answer = await client("PUT", "box/a", body=b"2" * size)
        failed += answer.status == 503
        assert answer.status in (201, 503)
        failing.left = -1
        now = (await client("GET", "box/a")).body
        assert now in (b"1" * size, b"2" * size)
        assert answer.status == 503 or now == b"2" * size
        assert b"1" * size in [now, *await old_bodies(client, mode)]
        assert (await client("PUT", "box/a", body=b"3" * size)).status == 201
        assert (await client("GET", "box/a")).body == b"3" * size
        assert {b"1" * size, now} <= set(await old_bodies(client, mode))
    assert 2 <= failed < 15


@pytest.mark.parametrize("mode", MODES)
async def test_no_version_is_lost_when_a_removal_fails(mode: str) -> None:
    failed = 0
    for point in points():
        client = Client()
        failing = Failing()
        over(client, failing)
        await client("PUT", "old")
        await client("PUT", "box", MODES[mode])
        for data in (b"1", b"2"):
            await client("PUT", "box/a", body=data)
        failing.left = point
        answer = await client("DELETE", "box/a")
        failed += answer.status == 503
        failing.left = -1
        answer = await client("GET", "box/a")
        now = [answer.body] if answer.status == 200 else []
        assert b"1" in [*now, *await old_bodies(client, mode)]
        if mode != "stack":
            assert b"2" in [*now, *await old_bodies(client, mode)]
        assert (await client("DELETE", "box/a")).status in (204, 404)
    assert 2 <= failed < 15


async def test_a_write_that_is_refused_leaves_nothing(client: Client) -> None:
    """The condition held when the body began to come, and no more when it had."""
    over(client, Failing())
    await client("PUT", "box", MODES["objects"])
    arrived = trio.Event()

    async def late(done: bool) -> None:
        if not done and not arrived.is_set():
            arrived.set()
            assert (await other("PUT", "box/a", body=b"other")).status == 201

    other = Client()
    other.store, other.people = client.store, client.people
    other.app = client.app
    over(client, late)
    answer = await client("PUT", "box/a", {"If-None-Match": "*"}, b"x" * 70_000)
    assert answer.status == 412
    assert len((await client("GET", "box", query="versions")).json()) == 1
    assert (await client("GET", "box/a")).body == b"other"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gateways", [1, 3])
async def test_many_write_at_once(mode: str, gateways: int) -> None:
    """Whatever was acknowledged is there, and the current version is the latest of them."""
    client = Client()

    async def turn(done: bool) -> None:
        await trio.sleep(0)

    clients = []
    for _ in range(gateways):
        each = Client()
        each.store, each.people, each.clock = client.store, client.people, client.clock
        over(each, turn)
        clients.append(each)
    await client("PUT", "old")
    await client("PUT", "box", MODES[mode])
    written: list[bytes] = []

    async def write(number: int) -> None:
        data = b"%d" % number
        answer = await clients[number % gateways]("PUT", "box/a", body=data)
        assert answer.status == 201
        written.append(data)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, number)
    assert len(written) == 20
    now = (await client("GET", "box/a")).body
    kept = await old_bodies(client, mode)
    assert {*kept, now} == set(written)
    if mode == "objects":
        rows = (await client("GET", "box", query="versions")).json()
        assert [row["is_latest"] for row in rows] == [True] + [False] * 19


@pytest.mark.parametrize("gateways", [1, 3])
async def test_writes_and_removals_at_once(gateways: int) -> None:
    """The object is there exactly where the latest version is no deletion."""
    for seed in range(15):
        client = Client()

        async def turn(done: bool) -> None:
            await trio.sleep(0)

        clients = []
        for _ in range(gateways):
            each = Client()
            each.store, each.people, each.clock = client.store, client.people, client.clock
            over(each, turn)
            clients.append(each)
        await client("PUT", "box", MODES["objects"])

        async def change(number: int, seed: int = seed, clients: list[Client] = clients) -> None:
            method = "DELETE" if (number * 7 + seed) % 3 == 0 else "PUT"
            answer = await clients[number % gateways](method, "box/a", body=b"%d" % number)
            assert answer.status in (201, 204, 404)

        async with trio.open_nursery() as nursery:
            for number in range(14):
                nursery.start_soon(change, number)
        rows = (await client("GET", "box", query="versions")).json()
        assert len(rows) == 14
        newest = rows[0]
        present = (await client("GET", "box/a")).status == 200
        assert present != newest["content_type"].startswith("application/x-deleted")
        assert newest["is_latest"]
