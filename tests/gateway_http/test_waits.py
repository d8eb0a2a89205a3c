"""What is waited for a client is noted, and nothing else is."""

from __future__ import annotations

import trio

from gateway.http.asgi import Receive, Scope, Send
from store.core.waits import begin_waits
from tests.gateway_http.harness import get, read_body, read_until, respond, running

LARGE = bytes(32 * 1024 * 1024)
"""More than the kernel keeps of an answer."""


async def test_a_body_and_an_answer_that_the_client_keeps_waiting() -> None:
    noted: dict[str, float] = {}
    may_send, may_read = trio.Event(), trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waits = begin_waits()
        if scope["method"] == "PUT":
            may_send.set()
            await read_body(receive)
            await respond(send)
        elif scope["raw_path"] == b"/large":
            may_read.set()
            await respond(send, 200, LARGE)
        else:
            await respond(send)
        noted[f"{scope['method']} {scope['path']}"] = waits.client
        assert not waits.devices

    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(get())
        await read_until(stream, b"\r\n\r\n")
        await stream.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        await may_send.wait()
        await stream.send_all(b"ab")
        await read_until(stream, b"\r\n\r\n")
        await stream.send_all(get("/large"))
        await may_read.wait()
        left = len(LARGE)
        while left > 0:
            left -= len(await stream.receive_some())
    assert noted["GET /"] == 0
    assert noted["PUT /"] > 0
    assert noted["GET /large"] > 0
