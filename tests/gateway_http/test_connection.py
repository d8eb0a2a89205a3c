"""One connection from a client's side, over real sockets: requests, responses, and who may end what when."""

from __future__ import annotations

import logging
import socket

import pytest
import trio
from trio.testing import memory_stream_pair

from gateway.http import ClientDisconnected, Limits, ResponseError
from gateway.http.asgi import Receive, Scope, Send
from gateway.http.connection import Connection
from gateway.http.exchange import Draining
from gateway.http.ticker import Ticker
from gateway.http.transport import StreamTransport
from tests.gateway_http.harness import (
    Recorder,
    echo,
    get,
    read_all,
    read_body,
    read_until,
    reject,
    respond,
    running,
    status_of,
)
from tests.twins.turns import with_turns

PUT = b"PUT /x HTTP/1.1\r\nHost: a\r\n"


async def test_the_scope_says_what_was_sent() -> None:
    app = Recorder()
    async with running(app) as server, await server.connect() as stream:
        for path in ("/a%20b/%C3%A9/%ff?q=%41", "/plain"):
            await stream.send_all(get(path, "X-Thing: Value"))
            await read_until(stream, path.partition("?")[0].encode())
        client = stream.socket.getsockname()
    first, second = app.scopes
    assert first["type"] == "http"
    assert first["http_version"] == "1.1"
    assert first["method"] == "GET"
    assert first["scheme"] == "http"
    assert first["raw_path"] == b"/a%20b/%C3%A9/%ff"
    assert first["path"] == "/a b/é/\udcff"
    assert first["query_string"] == b"q=%41"
    assert first["headers"] == [(b"host", b"a"), (b"x-thing", b"Value")]
    assert first["client"] == client
    assert first["server"] == ("127.0.0.1", server.port)
    assert first["extensions"] == {}
    assert first["state"] is second["state"]
    assert second["path"] == "/plain"


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running(echo) as server:
        raw = b"".join(get(f"/{n}") for n in range(300))
        raw += PUT + b"Content-Length: 4\r\n\r\nbody" + get("/last", "Connection: close")
        answer = await server.ask(raw)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%d" % n for n in range(300)] + [b"body", b"/last"]


async def test_http_1_0() -> None:
    async with running(echo) as server:
        assert b"Connection: close" in await server.ask(b"GET / HTTP/1.0\r\n\r\n")
        answer = await server.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
    assert answer.count(b"Connection: keep-alive") == 1
    assert answer.endswith(b"/b")


async def test_a_half_closed_client_gets_its_response() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked(0.01)
            await respond(send, 200, b"done")

    async with running(slow) as server, await server.connect() as stream:
        await stream.send_all(PUT + b"Content-Length: 2\r\n\r\nhi")
        await stream.send_eof()
        assert (await read_all(stream)).endswith(b"done")


async def test_chunked_both_ways_and_head() -> None:
    async def stream_back(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        assert body is not None
        await send({"type": "http.response.start", "status": 200})
        for byte in memoryview(body):
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await send({"type": "http.response.body"})

    async with running(stream_back) as server:
        raw = PUT + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        assert (await server.ask(raw)).endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")
        answer = await server.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.endswith(b"\r\n\r\n")


# 100-continue and early answers


async def test_continue_is_sent_when_the_application_wants_the_body() -> None:
    async with running(echo) as server, await server.connect() as stream:
        await stream.send_all(PUT + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await read_until(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(b"hi")
        assert (await read_until(stream, b"hi")).startswith(b"HTTP/1.1 200")
        await stream.send_all(PUT + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nhey")
        assert b"100 Continue" not in await read_until(stream, b"hey")


async def test_no_continue_if_the_body_is_not_wanted() -> None:
    async with running(reject) as server:
        answer = await server.ask(PUT + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert status_of(answer) == 403
    assert b"Connection: close" in answer


async def test_a_short_unread_body_is_drained_and_the_connection_kept() -> None:
    async with running(reject) as server, await server.connect() as stream:
        await stream.send_all(PUT + b"Content-Length: 100000\r\n\r\n")
        assert b"Connection: close" not in await read_until(stream, b"no\n")
        await stream.send_all(bytes(100000) + get("/", "Connection: close"))
        assert status_of(await read_all(stream)) == 403


@pytest.mark.parametrize("framing", [b"Content-Length: 50000000", b"Transfer-Encoding: chunked"])
async def test_an_early_answer_reaches_a_client_that_is_still_sending(framing: bytes) -> None:
    async with running(reject) as server, await server.connect() as stream:
        await stream.send_all(PUT + framing + b"\r\n\r\n")
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        for _ in range(400):
            await stream.send_all(piece)
        answer = await read_all(stream)
    assert status_of(answer) == 403
    assert b"Connection: close" in answer


async def test_lingering_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    async with running(reject) as server, await server.connect() as stream:
        await stream.send_all(PUT + b"Content-Length: 50000000\r\n\r\n")
        assert status_of(await read_all(stream)) == 403

        async def go_on_sending() -> None:
            while True:
                await stream.send_all(b"x")
                await trio.sleep(1)

        with pytest.raises(trio.BrokenResourceError):
            await go_on_sending()


# Clients that go away


@pytest.mark.parametrize(
    "start",
    [
        b"Content-Length: 10\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"Content-Length: 10\r\n\r\n",
    ],
)
async def test_an_upload_that_ends_early_is_a_disconnect(start: bytes) -> None:
    app = Recorder()
    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(PUT + start)
        await stream.send_eof()
        assert await read_all(stream) == b""
    assert app.messages[-1]["type"] == "http.disconnect"
    assert all(message["more_body"] for message in app.messages[:-1])


def reset(stream: trio.SocketStream) -> None:
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.socket.close()


async def test_sending_to_a_client_that_left_fails() -> None:
    failed = trio.Event()
    received = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(100000), "more_body": True})
        except ClientDisconnected:
            received.append(await receive())
            with pytest.raises(OSError):
                await send({"type": "http.response.body", "body": b"more"})
            failed.set()
            raise

    async with running(endless) as server:
        stream = await server.connect()
        await stream.send_all(get())
        await stream.receive_some()
        await stream.aclose()
        await failed.wait()
    assert received == [{"type": "http.disconnect"}]


async def test_receive_tells_of_a_reset_and_of_the_end_of_the_response() -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        if scope["path"] == "/wait":
            told.append((await receive())["type"])
            return

        async def watch() -> None:
            told.append((await receive())["type"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked(0.01)
            await respond(send, 200, b"ok")

    async with running(app) as server:
        async with await server.connect() as stream:
            await stream.send_all(get())
            await read_until(stream, b"ok")
            await stream.send_all(get() + get())  # the second is read ahead by the watcher, and not lost
            await read_until(stream, b"ok")
            await read_until(stream, b"ok")
            await stream.send_all(get("/wait"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            reset(stream)
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert told == ["http.disconnect"] * 4


# Applications that misbehave


async def test_an_application_that_fails_before_its_response(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise LookupError("the reason")

    async with running(broken) as server:
        answer = await server.ask(get())
    assert status_of(answer) == 500
    assert b"the reason" not in answer
    assert "the reason" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_application_without_response(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async with running(silent) as server:
        assert status_of(await server.ask(get())) == 500
    assert "no response" in caplog.text


def pieces(*bodies: bytes, length: int | None = None, fail: bool = False) -> object:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": fail or number < len(bodies)})
        if fail:
            raise LookupError

    return app


@pytest.mark.parametrize(
    "app",
    [
        pieces(b"abc", b"d", length=10),
        pieces(b"a", b"bcd", length=3),
        pieces(b"abc", length=10, fail=True),
        pieces(b"abc", fail=True),
    ],
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_broken_response_never_looks_complete(
    app: object, version: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    received = bytearray()
    async with running(app) as server, await server.connect() as stream:  # type: ignore[arg-type]
        await stream.send_all(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)

        async def collect() -> None:
            async for data in stream:
                received.extend(data)

        with pytest.raises(trio.BrokenResourceError):
            await collect()
    assert not received.endswith(b"\r\n0\r\n\r\n")
    assert "failed" in caplog.text


async def test_header_injection_is_an_application_error(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, b"x", (b"x", b"a\r\nb: c"))

    async with running(app) as server:
        assert status_of(await server.ask(get())) == 500
    assert ResponseError.__name__ in caplog.text


# Back-pressure


async def test_no_more_is_read_than_the_application_asks_for() -> None:
    go_on = trio.Event()

    async def lazy(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await go_on.wait()
        assert await read_body(receive) is not None
        await respond(send, 200, b"ok")

    size = 64 << 20
    async with running(lazy) as server, await server.connect() as stream:
        await stream.send_all(PUT + b"Content-Length: %d\r\n\r\n" % size)
        sent = 0
        piece = bytes(1 << 20)
        while sent < size:
            with trio.move_on_after(0.05) as scope:
                await stream.send_all(piece)
                sent += len(piece)
            if scope.cancelled_caught:
                break
        assert sent < 24 << 20  # what two kernels' socket buffers hold
        reset(stream)
        go_on.set()


async def test_a_response_waits_for_its_reader() -> None:
    sent = 0

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            sent += 1

    async with running(flood) as server, await server.connect() as stream:
        await stream.send_all(get())
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert sent < 24
        before = sent
        for _ in range(200):
            await stream.receive_some(1 << 20)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert sent > before
        reset(stream)


async def test_large_bodies_pass_whole() -> None:
    payload = bytes(range(256)) * 40000
    async with running(echo) as server, await server.connect() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, PUT + b"Content-Length: %d\r\n\r\n" % len(payload) + payload)
        _, _, body = (await read_until(stream, payload[-256:])).partition(b"\r\n\r\n")
        while len(body) < len(payload):
            body += await stream.receive_some()
    assert body == payload


# Time


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"", b""),
        (get() + b"", b"200"),
        (b"GET / HTT", b"408"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"408"),
        (PUT + b"Content-Length: 5\r\n\r\nab", b"408"),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"408"),
    ],
)
async def test_slow_clients_are_not_waited_for(
    raw: bytes, answer: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(echo) as server:
        start = trio.current_time()
        reply = await server.ask(raw)
        waited = trio.current_time() - start
    assert reply[9:12] == answer
    limits = Limits()
    expected = (
        limits.idle_timeout if answer == b"200" else limits.body_timeout if b"PUT" in raw else limits.head_timeout
    )
    assert expected <= waited <= expected + 2


async def test_a_head_that_drips_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with running(echo) as server, await server.connect() as stream:
        answer = b""
        with trio.move_on_after(60):
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n")
            async with trio.open_nursery() as nursery:

                async def drip() -> None:
                    while True:
                        await trio.sleep(1)
                        await stream.send_all(b"X: y\r\n")

                nursery.start_soon(drip)
                answer = await stream.receive_some()
                nursery.cancel_scope.cancel()
        assert status_of(answer) == 408


async def test_a_client_that_stops_reading_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    failures: list[BaseException] = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        except OSError as error:
            failures.append(error)
            raise

    async with running(flood) as server, await server.connect() as stream:
        await stream.send_all(get())
        await trio.sleep(70)
        assert isinstance(failures[0], ClientDisconnected)
        assert len(failures) == 1
        with pytest.raises(trio.BrokenResourceError):
            await read_all(stream)


# What comes back for bad input, whole


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 100_000, 414),
        (get("/", *["X: y"] * 300), 431),
        (get("/", "X: " + "y" * 200_000), 431),
        (PUT + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + get("/smuggled"), 400),
        (PUT + b"Content-Length: 3\r\nContent-Length: 0\r\n\r\n" + get("/smuggled"), 400),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n\r\n" + get("/smuggled"), 400),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + get("/smuggled"), 400),
    ],
)
async def test_bad_input_is_answered_and_the_connection_closed(
    raw: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = Recorder()
    async with running(app) as server:
        answer = await server.ask(raw)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer
    assert b"Content-Type: text/plain" in answer
    assert not [scope for scope in app.scopes if scope["path"] == "/smuggled"]
    assert not caplog.records


async def test_endless_fields_end() -> None:
    async with running(echo) as server, await server.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n")
        await stream.send_all(b"X: y\r\n" * 10_000)
        assert status_of(await read_all(stream)) == 431


async def test_a_body_in_tiny_chunks_takes_turns() -> None:
    """However much of it has arrived at once."""
    near, far = memory_stream_pair()
    ticker = Ticker()
    connection = Connection(echo, StreamTransport(near, ticker), ticker, Limits(), Draining())
    await far.send_all(PUT + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    await far.send_eof()
    _, turns = await with_turns(connection.run())
    assert (await read_all(far)).endswith(b"x" * 20_000)
    assert turns >= 100
