"""Many connections: limits, stopping, running out of descriptors."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
import trio.testing

from gateway.http import Limits, serve
from gateway.http.asgi import Receive, Scope, Send
from tests.gateway_http.harness import echo, get, read_all, read_until, respond, running, status_of


class Gate:
    """An application whose responses wait until they are let through."""

    def __init__(self) -> None:
        self.entered = trio.Event()
        self.open = trio.Event()
        self.cut = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        try:
            await self.open.wait()
        except trio.Cancelled:
            self.cut = True
            raise
        await respond(send, 200, b"done")


async def test_draining_finishes_what_is_in_flight_and_closes_what_is_idle() -> None:
    gate = Gate()
    async with running(gate) as server:
        fresh, busy = await server.connect(), await server.connect()
        async with fresh, busy:
            await busy.send_all(get())
            await gate.entered.wait()
            server.shutdown.set()
            assert await read_all(fresh) == b""
            with pytest.raises(OSError):
                await server.connect()
            assert not server.finished.is_set()
            gate.open.set()
            answer = await read_all(busy)
    assert status_of(answer) == 200
    assert b"Connection: close" in answer


async def test_an_idle_keep_alive_connection_is_closed_at_once() -> None:
    async with running(echo) as server, await server.connect() as stream:
        await stream.send_all(get("/x"))
        await read_until(stream, b"/x")
        server.shutdown.set()
        assert await read_all(stream) == b""
        await server.finished.wait()


async def test_grace_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    gate = Gate()
    async with running(gate, Limits(grace=10)) as server, await server.connect() as stream:
        await stream.send_all(get())
        await gate.entered.wait()
        start = trio.current_time()
        server.shutdown.set()
        with pytest.raises(trio.BrokenResourceError):
            await read_all(stream)
        assert trio.current_time() - start == pytest.approx(10)
    assert gate.cut


async def test_cancelling_drains_as_well() -> None:
    gate = Gate()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    scope = trio.CancelScope()

    async def run(task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await serve(gate, listeners, task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(get())
            await gate.entered.wait()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            gate.open.set()
            assert status_of(await read_all(stream)) == 200
    assert scope.cancelled_caught


async def test_connections_over_the_limit_wait_and_idle_ones_make_room() -> None:
    async with running(echo, Limits(connections=2)) as server:
        first, second = await server.connect(), await server.connect()
        for stream in (first, second):
            await stream.send_all(get("/x"))
            await read_until(stream, b"/x")
        third = await server.connect()
        await third.send_all(get("/x"))
        await read_until(third, b"/x")
        assert await read_all(first) == b""
        for stream in (first, second, third):
            await stream.aclose()


async def test_a_full_server_serves_the_next_when_one_is_done() -> None:
    gate = Gate()
    async with running(gate, Limits(connections=1)) as server:
        first, second = await server.connect(), await server.connect()
        async with first, second:
            await first.send_all(get("/", "Connection: close"))
            await second.send_all(get("/", "Connection: close"))
            await gate.entered.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
            gate.open.set()
            assert status_of(await read_all(first)) == 200
            assert status_of(await read_all(second)) == 200


async def test_accepting_survives_a_lack_of_descriptors(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [errno.EMFILE, errno.ECONNABORTED, errno.ENFILE]
    real_accept = socket.socket.accept

    def accept(self: socket.socket) -> object:
        if failures:
            raise OSError(failures.pop(0), "no")
        return real_accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    async with running(echo) as server:
        assert status_of(await server.ask(get("/", "Connection: close"))) == 200
    assert not failures
    assert "cannot accept" in caplog.text


async def test_unix_sockets(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("http") / "socket")
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    await listening.bind(path)
    listening.listen()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, echo, [trio.SocketListener(listening)])
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(get("/x", "Connection: close"))
            assert (await read_all(stream)).endswith(b"/x")
        nursery.cancel_scope.cancel()


async def test_many_clients_at_once() -> None:
    answers = []

    async with running(echo) as server:

        async def client(number: int) -> None:
            async with await server.connect() as stream:
                for turn in range(20):
                    path = f"/{number}-{turn}"
                    await stream.send_all(get(path))
                    answers.append(await read_until(stream, path.encode()))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(client, number)
    assert len(answers) == 1000


async def test_silent_connections_make_room_oldest_first(autojump_clock: trio.testing.MockClock) -> None:
    """However many there are: a new client is served as soon as they have been silent for a moment."""
    async with running(echo, Limits(connections=3, head_timeout=1000, silence=2)) as server:
        silent = []
        for _ in range(5):
            silent.append(await server.connect())
            await trio.sleep(0.01)
        begun = trio.current_time()
        assert (await server.ask(get("/x", "Connection: close"))).endswith(b"/x")
        assert trio.current_time() - begun < 10
        for stream in silent[:3]:
            assert await read_all(stream) == b""
        for stream in silent[3:]:
            await stream.send_all(get("/late", "Connection: close"))
            assert (await read_all(stream)).endswith(b"/late")
        for stream in silent:
            await stream.aclose()


async def test_those_who_have_begun_to_speak_are_not_silent(autojump_clock: trio.testing.MockClock) -> None:
    async with running(echo, Limits(connections=2, head_timeout=1000, silence=2)) as server:
        slow, silent = await server.connect(), await server.connect()
        async with slow, silent:
            await slow.send_all(b"GET /slow HTTP/1.1\r\n")
            await trio.sleep(5)
            assert (await server.ask(get("/x", "Connection: close"))).endswith(b"/x")
            assert await read_all(silent) == b""
            await slow.send_all(b"Host: a\r\nConnection: close\r\n\r\n")
            assert (await read_all(slow)).endswith(b"/slow")


async def test_who_waits_for_its_next_request_makes_room_after_the_silent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(echo, Limits(connections=2, head_timeout=1000, idle_timeout=1000, silence=2)) as server:
        kept, silent = await server.connect(), await server.connect()
        async with kept, silent:
            await kept.send_all(get("/1"))
            await read_until(kept, b"/1")
            await trio.sleep(5)
            assert (await server.ask(get("/x", "Connection: close"))).endswith(b"/x")
            assert await read_all(silent) == b""
            await kept.send_all(get("/2", "Connection: close"))
            assert (await read_all(kept)).endswith(b"/2")


async def test_a_lack_of_descriptors_makes_room_too(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    real_accept = socket.socket.accept
    short = False

    def accept(self: socket.socket) -> object:
        if short:
            raise OSError(errno.EMFILE, "no")
        return real_accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    async with running(echo, Limits(head_timeout=1000)) as server, await server.connect() as silent:
        await trio.sleep(10)
        short = True
        async with await server.connect() as new:
            begun = trio.current_time()
            assert await read_all(silent) == b""
            assert trio.current_time() - begun < 10
            short = False
            await new.send_all(get("/x", "Connection: close"))
            assert (await read_all(new)).endswith(b"/x")
