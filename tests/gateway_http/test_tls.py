"""The same over TLS."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme

from gateway.http import Limits, server_context
from gateway.http.asgi import Receive, Scope, Send
from tests.gateway_http.harness import Recorder, Running, echo, get, read_all, read_until, reject, running, status_of


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return server_context(path)


async def connect(server: Running, authority: trustme.CA) -> trio.SSLStream[trio.SocketStream]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trio.SSLStream(await server.connect(), trust, server_hostname="127.0.0.1")


async def test_requests_and_a_clean_end(authority: trustme.CA, context: ssl.SSLContext) -> None:
    app = Recorder()
    async with running(app, tls=context) as server, await connect(server, authority) as stream:
        payload = bytes(3_000_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                stream.send_all, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + payload
            )
            received = 0
            while received < len(payload):
                received += len(await stream.receive_some())
        await stream.send_all(get("/x", "Connection: close"))
        assert (await read_all(stream)).endswith(b"/x")  # a close_notify, or this would raise
    assert app.scopes[0]["scheme"] == "https"


async def test_a_broken_response_has_no_clean_end(authority: trustme.CA, context: ssl.SSLContext) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})

    async with running(broken, tls=context) as server, await connect(server, authority) as stream:
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await read_all(stream)
        await trio.aclose_forcefully(stream)


async def test_an_early_answer(authority: trustme.CA, context: ssl.SSLContext) -> None:
    async with running(reject, tls=context) as server, await connect(server, authority) as stream:
        await stream.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        await stream.send_all(bytes(5_000_000))
        assert status_of(await read_until(stream, b"no\n")) == 403


async def test_plain_http_on_the_tls_port(context: ssl.SSLContext) -> None:
    async with running(echo, tls=context) as server, await server.connect() as stream:
        await stream.send_all(get())
        answer = await read_all(stream)
    assert not answer.startswith(b"HTTP")


async def test_timeouts(authority: trustme.CA, context: ssl.SSLContext, autojump_clock: trio.testing.MockClock) -> None:
    async with running(echo, tls=context) as server:
        async with await connect(server, authority) as stream:
            await stream.send_all(b"GET / HT")
            assert status_of(await read_all(stream)) == 408
        async with await server.connect() as plain:  # no handshake at all
            assert await read_all(plain) == b""


async def test_draining_closes_idle_connections(authority: trustme.CA, context: ssl.SSLContext) -> None:
    async with running(echo, tls=context) as server, await connect(server, authority) as stream:
        await stream.send_all(get("/x"))
        await read_until(stream, b"/x")
        server.shutdown.set()
        assert await read_all(stream) == b""


async def test_a_client_that_stops_reading(
    authority: trustme.CA, context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
) -> None:
    failures: list[BaseException] = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        except OSError as error:
            failures.append(error)
            raise

    limits = Limits(send_timeout=20)
    async with running(flood, limits, tls=context) as server, await connect(server, authority) as stream:
        await stream.send_all(get())
        await trio.sleep(60)
        assert len(failures) == 1
        await trio.aclose_forcefully(stream)


async def test_handshakes_that_do_not_begin_make_room(
    authority: trustme.CA, context: ssl.SSLContext, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(echo, Limits(connections=2, head_timeout=1000, silence=2), context) as server:
        first, second = await server.connect(), await server.connect()
        async with first, second:
            await trio.sleep(5)
            begun = trio.current_time()
            async with await connect(server, authority) as stream:
                await stream.send_all(get("/x", "Connection: close"))
                assert b"/x" in await read_all(stream)
            assert trio.current_time() - begun < 10
            assert await read_all(first) == b""


@pytest.fixture(scope="module")
def clients_authority() -> trustme.CA:
    return trustme.CA(organization_name="Clients")


@pytest.fixture(scope="module")
def asking(
    authority: trustme.CA, clients_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> ssl.SSLContext:
    """A context that lets clients show a certificate."""
    folder = tmp_path_factory.mktemp("asking")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    clients_authority.cert_pem.write_to_path(str(folder / "clients.pem"))
    return server_context(folder / "server.pem", client_ca=folder / "clients.pem")


def showing(authority: trustme.CA, shown: trustme.LeafCert | None) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    if shown is not None:
        shown.configure_cert(trust)
    return trust


async def told(server: Running, trust: ssl.SSLContext, app: Recorder) -> Any:
    """What the application is told of a connection's TLS."""
    async with trio.SSLStream(await server.connect(), trust, server_hostname="127.0.0.1") as stream:
        await stream.send_all(get("/x", "Connection: close"))
        await read_all(stream)
    return app.scopes[-1]["extensions"]["tls"]


async def test_an_application_is_told_the_clients_certificate(
    authority: trustme.CA, clients_authority: trustme.CA, asking: ssl.SSLContext
) -> None:
    app, shown = Recorder(), clients_authority.issue_cert("jane@example.com")
    async with running(app, tls=asking) as server:
        found = await told(server, showing(authority, shown), app)
        assert [ssl.PEM_cert_to_DER_cert(one) for one in found["client_cert_chain"]] == [
            ssl.PEM_cert_to_DER_cert(shown.cert_chain_pems[0].bytes().decode())
        ]
        assert found["client_cert_error"] is None
        assert found["tls_version"] == 0x0304
        assert (await told(server, showing(authority, None), app))["client_cert_chain"] == []


async def test_a_certificate_of_another_authority_ends_the_connection(
    authority: trustme.CA, asking: ssl.SSLContext
) -> None:
    app, trust = Recorder(), showing(authority, authority.issue_cert("jane@example.com"))
    async with running(app, tls=asking) as server:
        stream = trio.SSLStream(await server.connect(), trust, server_hostname="127.0.0.1")
        # In TLS 1.3 a client is done before the server has looked at its certificate.
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(get("/x", "Connection: close"))
            assert await read_all(stream) == b""
        await trio.aclose_forcefully(stream)
    assert not app.scopes


async def test_a_server_that_asks_for_none_is_shown_none(
    authority: trustme.CA, clients_authority: trustme.CA, context: ssl.SSLContext
) -> None:
    app = Recorder()
    async with running(app, tls=context) as server:
        trust = showing(authority, clients_authority.issue_cert("jane@example.com"))
        assert (await told(server, trust, app))["client_cert_chain"] == []


async def test_without_tls_there_is_nothing_to_tell() -> None:
    app = Recorder()
    async with running(app) as server:
        await server.ask(get("/x", "Connection: close"))
    assert app.scopes[0]["extensions"] == {}
