"""The page, and the WebSocket behind it: a token opens one console, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection

from compute_plugin.consoles.app import ConsoleApp
from compute_plugin.consoles.page import scripts
from compute_plugin.consoles.tokens import TOKENS_MAX, keep_token, new_token
from compute_plugin.hypervisors.interface import Usage
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.store import ComputeStore
from gateway.http import serve
from store.core.errors import ConflictError, RetryableError
from store.registry import memory_registry
from tests.twins.clock import ManualClock

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
SERVERS = ("a", "b")


class Guests:
    """Each says its name first, and then what it hears."""

    def __init__(self) -> None:
        self.away = False

    @asynccontextmanager
    async def opened(self, server: Server, type_: str) -> AsyncIterator[trio.abc.Stream]:
        if self.away:
            raise RetryableError("nobody is there")
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._speak, theirs, f"{server.id} {type_}")
            yield ours
            nursery.cancel_scope.cancel()

    async def _speak(self, stream: trio.abc.Stream, name: str) -> None:
        await stream.send_all(name.encode())
        while said := await stream.receive_some(1000):
            if said == b"end":
                await stream.aclose()
                return
            await stream.send_all(said)

    async def log(self, server: Server) -> bytes:
        raise AssertionError

    async def usage(self, server: Server) -> Usage:
        raise AssertionError

    def url(self, origin: str, token: str, type_: str) -> str:
        raise AssertionError

    def place(self, server: Server) -> dict[str, Any]:
        raise AssertionError


class Scene:
    def __init__(self, port: int, store: ComputeStore, clock: ManualClock, guests: Guests) -> None:
        self.port, self.store, self.clock, self.guests = port, store, clock, guests

    async def token(self, server: str = "a", type_: str = "novnc", seconds: int = 60) -> str:
        token, now = new_token(), self.clock.wall_us()

        def step(records: Records) -> None:
            keep_token(records, records.servers.require(server), token, type_, now + seconds * 1_000_000, now)

        await self.store.change(step)
        return token

    async def get(self, path: str, *fields: str, offer: bool = False) -> tuple[int, bytes]:
        """The status, and all that comes."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(_request(path, *fields, "Connection: close", offer=offer))
            found = b""
            while (whole := _length(found)) is None or len(found) < whole:
                found += await stream.receive_some()
            return int(found.split(b" ", 2)[1]), found

    @asynccontextmanager
    async def console(self, token: str) -> AsyncIterator[Console]:
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(_request(f"/console/websockify?token={token}", offer=True))
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some()
            assert b" 101 " in head, head
            console = Console(stream)
            if rest := head.partition(b"\r\n\r\n")[2]:
                console.frames.receive_data(rest)
            yield console


class Console:
    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.frames = Frames(ConnectionType.CLIENT)

    async def say(self, text: bytes) -> None:
        await self._stream.send_all(self.frames.send(BytesMessage(text)))

    async def hear(self) -> object:
        while True:
            for event in self.frames.events():
                return bytes(event.data) if isinstance(event, BytesMessage) else event
            self.frames.receive_data(bytes(await self._stream.receive_some()) or None)


def _length(answer: bytes) -> int | None:
    """Of an answer, once its head is there."""
    head, end, _ = answer.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    return len(head) + len(end) + int(found[1]) if end and found is not None else None


def _request(path: str, *fields: str, offer: bool = False) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: cloud:8080", *fields]
    if offer:
        lines = [one for one in lines if one != "Connection: close"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                  f"Sec-WebSocket-Key: {KEY.decode()}", "Sec-WebSocket-Protocol: binary"]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = ManualClock()
    registry, guests = memory_registry(clock), Guests()
    store = ComputeStore(registry)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        await store.change(_servers)
        app = ConsoleApp(store, guests, clock)
        await nursery.start(lambda task_status: serve(app, listeners, task_status=task_status))
        yield Scene(listeners[0].socket.getsockname()[1], store, clock, guests)
        nursery.cancel_scope.cancel()


def _servers(records: Records) -> None:
    flavor = Flavor(id="1", name="m1.tiny", vcpus=1, ram=512, disk=1)
    for number, name in enumerate(SERVERS):
        records.servers.put(
            Server(id=name, number=number, project_id="blue", user_id="u", name=name, hostname=name, flavor=flavor,
                   created_us=1, updated_us=1)
        )  # fmt: skip


async def test_a_token_opens_its_server_both_ways_and_once(scene: Scene) -> None:
    token = await scene.token("b", "serial")
    async with scene.console(token) as console:
        assert await console.hear() == b"b serial"
        await console.say(b"hello")
        assert await console.hear() == b"hello"
        await console.say(b"end")
        assert isinstance(await console.hear(), CloseConnection), "the guest has ended"
    status, said = await scene.get(f"/console/websockify?token={token}", offer=True)
    assert status == 403
    assert b"nothing any more" in said


async def test_a_token_ends_with_its_time_and_with_its_server(scene: Scene) -> None:
    late, gone = await scene.token(seconds=60), await scene.token("b", seconds=600)
    scene.clock.advance(61)
    assert (await scene.get(f"/console/websockify?token={late}", offer=True))[0] == 403
    await scene.store.change(lambda records: records.servers.delete("b"))
    assert (await scene.get(f"/console/websockify?token={gone}", offer=True))[0] == 403


async def test_what_opens_nothing(scene: Scene) -> None:
    for path in (
        "/console/websockify",
        "/console/websockify?token=",
        "/console/websockify?token=%00",
    ):
        assert (await scene.get(path, offer=True))[0] == 403, path
    token = await scene.token()
    assert (await scene.get(f"/console/websockify?token={token}"))[0] == 426, "no WebSocket is offered"
    evil = "Origin: http://evil.example"
    assert (await scene.get(f"/console/websockify?token={token}", evil, offer=True))[0] == 403
    async with scene.console(token) as console:
        assert await console.hear() == b"a novnc", "none of that has used it up"


async def test_a_guest_that_cannot_be_reached_leaves_the_token_as_it_is(scene: Scene) -> None:
    token = await scene.token()
    scene.guests.away = True
    assert (await scene.get(f"/console/websockify?token={token}", offer=True))[0] == 503
    scene.guests.away = False
    async with scene.console(token) as console:
        assert await console.hear() == b"a novnc"


async def test_tokens_of_a_server_are_so_many_and_not_more(scene: Scene) -> None:
    for _ in range(TOKENS_MAX):
        await scene.token(seconds=60)
    with pytest.raises(ConflictError):
        await scene.token()
    await scene.token("b")
    scene.clock.advance(61)
    await scene.token()
    assert len(scene.store.records.console_tokens.by("server", "a")) == 1, "those that ended are gone"


async def test_the_page_and_what_it_needs(scene: Scene) -> None:
    status, page = await scene.get("/console/vnc_auto.html?path=websockify%3Ftoken%3Dx")
    assert status == 200
    assert b"noVNC" in page
    assert b"content-security-policy: default-src 'none'" in page.lower()
    for path in ("/console/page.js", "/console/page.css", "/console/novnc/core/rfb.js"):
        assert (await scene.get(path))[0] == 200, path
    for path in ("/console", "/console/novnc/package.json", "/console/novnc/../app.py", "/console/novnc/core/../x.js"):
        assert (await scene.get(path))[0] == 404, path
    assert "vendor/pako/lib/zlib/inflate.js" in scripts()
