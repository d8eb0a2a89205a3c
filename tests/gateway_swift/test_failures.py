"""What the store cannot do, and what nobody expected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
import trio

from gateway.objects.reading import closing
from gateway.swift.protocol.request import Message
from gateway.swift.refusal_log import PAUSE_SECONDS
from store.core.errors import BusyError, DamageError, FullError, QuorumError
from store.objects.interface import Buffer
from tests.gateway_swift.client import Client
from tests.gateway_swift.test_bulk import archive


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BusyError("full"), 503),
        (QuorumError("reading", 2, 1, {}), 503),
        (FullError("no room"), 507),
        (DamageError("secret detail"), 500),
        (ValueError("secret detail"), 500),
        (ExceptionGroup("tasks", [BusyError("full")]), 503),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [FullError("full")])]), 507),
    ],
)
async def test_statuses(client: Client, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.fill("c", ["o"])

    async def fail(*_args: Any, **_more: Any) -> Any:
        raise error

    for name in ("container", "put", "head", "list_objects"):
        with monkeypatch.context() as patch:
            patch.setattr(client.store, name, fail)
            with structlog.testing.capture_logs() as logs:
                method, path = {"put": ("PUT", "c/o"), "head": ("HEAD", "c/o")}.get(name, ("GET", "c"))
                answer = await client(method, path)
            assert answer.status == status
            assert b"secret" not in answer.body
            assert [entry["txid"] for entry in logs] == [answer["x-trans-id"]]
            client.clock.advance(PAUSE_SECONDS)


async def test_what_cannot_be_done_now_is_said_in_one_line_and_not_each_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full disks refuse every write: that is no error of the program, and would fill the log besides."""
    await client("PUT", "c")

    async def full(*_args: Any, **_more: Any) -> Any:
        raise FullError("no room on device 2")

    monkeypatch.setattr(client.store, "put", full)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert (await client("PUT", "c/o", body=b"x")).status == 507
        answer = await client("PUT", "", body=archive({"c/a": b"1", "c/b": b"2"}), query="extract-archive=tar")
        assert b"c/b, 507 Insufficient Storage" in answer.body
        monkeypatch.setattr(client.store, "head", _busy)
        assert (await client("HEAD", "c/o")).status == 503
        client.clock.advance(PAUSE_SECONDS)
        assert (await client("PUT", "c/o", body=b"x")).status == 507
    said = [(entry["log_level"], entry["status"], entry["error"], entry["others"]) for entry in logs]
    assert said == [
        ("warning", 507, "no room on device 2", 0),
        ("warning", 503, "later", 0),
        ("warning", 507, "no room on device 2", 4),
    ]
    assert not any("exc_info" in entry for entry in logs)


async def _busy(*_args: Any, **_more: Any) -> Any:
    raise BusyError("later")


async def test_an_error_in_the_middle_breaks_the_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", body=b"x" * 3_000_000)
    opened = client.store.open

    @asynccontextmanager
    async def damaged(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with opened(*args, **more) as found:
            read = found.read

            async def half(start: int = 0, stop: int | None = None) -> AsyncIterator[Buffer]:
                async with closing(read(start, stop)) as pieces:
                    yield await anext(pieces)
                raise DamageError("the rest is gone")

            monkeypatch.setattr(found, "read", half)
            yield found

    monkeypatch.setattr(client.store, "open", damaged)
    answer = await client("GET", "c/o")
    assert (answer.status, answer.whole, len(answer.body)) == (200, False, 1_048_576)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-"}, {"Range": "bytes=0-1,5-6"}])
async def test_an_error_before_the_first_byte_is_answered(
    client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.fill("c", ["o"], b"x" * 100_000)
    opened = client.store.open

    @asynccontextmanager
    async def busy(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async def read(start: int = 0, stop: int | None = None) -> AsyncIterator[Buffer]:
            for _ in range(0):
                yield b""
            raise BusyError("full")

        async with opened(*args, **more) as found:
            monkeypatch.setattr(found, "read", read)
            yield found

    monkeypatch.setattr(client.store, "open", busy)
    answer = await client("GET", "c/o", headers)
    assert (answer.status, answer.whole) == (503, True)
    assert "content-range" not in answer.headers


async def test_a_client_that_goes_is_no_error(client: Client) -> None:
    await client.fill("c", ["o"], b"x" * 100_000)
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/v1/AUTH_home-id/c/o",
        "query_string": b"",
        "headers": [(b"x-auth-token", b"owner")],
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    with structlog.testing.capture_logs() as logs, pytest.raises(ConnectionResetError):
        await client.app(scope, receive, send)
    with structlog.testing.capture_logs() as more:
        await client.app({**scope, "headers": []}, receive, send)
    assert logs == more == []


async def test_bytes_that_stop_short_break_the_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client("PUT", "c")
    await client("PUT", "c/o", body=b"x" * 100_000)
    opened = client.store.open

    @asynccontextmanager
    async def short(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with opened(*args, **more) as found:
            read = found.read
            monkeypatch.setattr(found, "read", lambda start=0, stop=None: read(start, 5))
            yield found

    monkeypatch.setattr(client.store, "open", short)
    answer = await client("GET", "c/o")
    assert (answer.whole, answer.body) == (False, b"xxxxx")
    part = {"Destination": "c/x", "Range": "bytes=0-99000"}  # the whole would be shared, not read
    assert (await client("COPY", "c/o", part)).status == 500
    monkeypatch.undo()
    assert (await client("HEAD", "c/x")).status == 404


async def test_a_cancelled_upload_leaves_nothing(client: Client) -> None:
    await client("PUT", "c")
    scope = {
        "type": "http",
        "method": "PUT",
        "raw_path": b"/v1/AUTH_home-id/c/o",
        "query_string": b"",
        "headers": [(b"x-auth-token", b"owner"), (b"content-length", b"1000000")],
    }
    pieces = [b"x" * 100_000] * 3
    stuck = trio.Event()

    async def receive() -> Message:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        stuck.set()
        await trio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.app, scope, receive, send)
        await stuck.wait()
        nursery.cancel_scope.cancel()
    assert client.store.uploads_begun == client.store.uploads_left == 1
    assert (await client("HEAD", "c/o")).status == 404


async def test_a_container_that_goes_during_an_upload(client: Client) -> None:
    await client("PUT", "c")

    class Pieces:
        """Deletes the container between two pieces."""

        def __init__(self) -> None:
            self.left = 3

        async def receive(self) -> Message:
            self.left -= 1
            if self.left == 1:
                await client("DELETE", "c")
            return {"type": "http.request", "body": b"x" * 50_000, "more_body": self.left > 0}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "raw_path": b"/v1/AUTH_home-id/c/o",
        "query_string": b"",
        "headers": [(b"x-auth-token", b"owner"), (b"content-length", b"150000")],
    }
    await client.app(scope, Pieces().receive, send)
    assert sent[0]["status"] == 404


async def test_logs_bear_the_id_of_the_request(client: Client) -> None:
    answer = await client("HEAD")
    assert structlog.contextvars.get_contextvars()["txid"] == answer["x-trans-id"]


async def test_pages_of_errors(client: Client) -> None:
    answer = await client("GET", "none")
    assert answer["content-type"] == "text/html; charset=UTF-8"
    assert answer.body == b"<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"
    head = await client("HEAD", "none")
    assert (head.body, head["content-length"]) == (b"", str(len(answer.body)))
