"""Who is asked, and what is known when an answer does not come; with members that are made up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from store.core.errors import DamageError, FullError, InvalidError, RetryableError
from store.registry import Get, OutcomeUnknownError, Put, UnavailableError
from store.registry.etcd import AccessError, EtcdRegistry, Tls, open_client
from store.registry.etcd.keyspace import Json
from tests.registry.etcd_server import free_port

Answer = Callable[[str], bytes | None]
"""From a path to a response; None: the connection is closed without one."""


def response(status: int, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


def at_revision(revision: int) -> Answer:
    return lambda path: response(200, {"header": {"revision": str(revision)}, "succeeded": True})


def refuses(code: int, message: str) -> Answer:
    return lambda path: response(503, {"error": message, "message": message, "code": code})


class MadeUp:
    """A member that serves one request a connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some()
        head, body = received.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some()
        path = head.split()[1].decode()
        self.asked.append(path)
        answer = self.answer(path)
        if answer is not None:
            await stream.send_all(answer)
        await stream.aclose()


@asynccontextmanager
async def made_up(*answers: Answer) -> AsyncIterator[list[MadeUp]]:
    members = [MadeUp(answer) for answer in answers]
    async with trio.open_nursery() as nursery:
        for member in members:
            serve: Callable[..., Awaitable[Any]] = partial(trio.serve_tcp, member.serve, 0, host="127.0.0.1")
            listeners = await nursery.start(serve)
            member.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield members
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def registry_of(*urls: str) -> AsyncIterator[EtcdRegistry]:
    async with open_client(urls) as client:
        yield EtcdRegistry(client, b"p/")


PUT = [Put(b"k", b"v")]


def silent_for(path: str) -> Answer:
    """Reads answer, and `path` does not."""
    return lambda asked: None if asked == path else response(200, {"header": {"revision": "5"}})


def refusing(path: str, code: int, message: str) -> Answer:
    return lambda asked: (refuses(code, message) if asked == path else at_revision(5))(asked)


async def test_a_member_that_is_not_reached_did_nothing_and_the_next_is_asked() -> None:
    async with (
        made_up(at_revision(5)) as [member],
        registry_of(f"http://127.0.0.1:{free_port()}", member.url) as registry,
    ):
        assert (await registry.transact([], PUT)).revision == 5
        assert member.asked == ["/v3/kv/range", "/v3/kv/txn"]


async def test_a_write_without_an_answer_is_not_repeated() -> None:
    async with made_up(silent_for("/v3/kv/txn"), at_revision(5)) as [first, second]:
        async with registry_of(first.url, second.url) as registry:
            with pytest.raises(OutcomeUnknownError, match="unknown whether"):
                await registry.transact([], PUT)
            assert second.asked == []
            # The next call begins with the other.
            assert (await registry.transact([], PUT)).revision == 5
        assert first.asked == ["/v3/kv/range", "/v3/kv/txn"]
        assert second.asked == ["/v3/kv/txn"]


async def test_a_read_without_an_answer_is_repeated() -> None:
    async with (
        made_up(lambda path: None, at_revision(5)) as [first, second],
        registry_of(first.url, second.url) as registry,
    ):
        assert await registry.revision() == 5
        assert (await registry.transact([], [Get(b"k")])).revision == 5
    async with (
        made_up(silent_for("/v3/kv/txn"), at_revision(6)) as [first, second],
        registry_of(first.url, second.url) as registry,
    ):
        assert (await registry.transact([], [Get(b"k")])).revision == 6


async def test_a_refusal_before_any_effect_sends_a_write_to_the_next() -> None:
    async with (
        made_up(refusing("/v3/kv/txn", 14, "etcdserver: no leader"), at_revision(6)) as [first, second],
        registry_of(first.url, second.url) as registry,
    ):
        assert (await registry.transact([], PUT)).revision == 6


async def test_a_time_out_of_etcds_own_leaves_a_write_unknown() -> None:
    async with made_up(refusing("/v3/kv/txn", 14, "etcdserver: request timed out"), at_revision(6)) as [first, second]:
        async with registry_of(first.url, second.url) as registry:
            with pytest.raises(OutcomeUnknownError):
                await registry.transact([], PUT)
        assert second.asked == []


async def test_where_none_serves_all_are_named() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    async with made_up(refuses(14, "etcdserver: no leader")) as [member], registry_of(gone, member.url) as registry:
        with pytest.raises(UnavailableError) as caught:
            await registry.get(b"k")
        assert gone in str(caught.value)
        assert f"{member.url}: etcdserver: no leader" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (8, "etcdserver: mvcc: database space exceeded", FullError),
        (3, "etcdserver: user name is empty", AccessError),
    ],
)
async def test_what_all_would_refuse_is_asked_once(code: int, message: str, error: type[RetryableError]) -> None:
    async with made_up(refuses(code, message), at_revision(5)) as [first, second]:
        async with registry_of(first.url, second.url) as registry:
            with pytest.raises(error):
                await registry.revision()
        assert second.asked == []


async def test_something_else_that_answers() -> None:
    async with (
        made_up(lambda path: b"HTTP/1.1 404 x\r\nContent-Length: 4\r\n\r\nnope") as [member],
        registry_of(member.url) as registry,
    ):
        with pytest.raises(UnavailableError, match="no etcd"):
            await registry.revision()


async def test_an_etcd_that_went_back_is_noticed() -> None:
    async with made_up(at_revision(9)) as [member], registry_of(member.url) as registry:
        assert await registry.revision() == 9
        member.answer = at_revision(8)
        with pytest.raises(DamageError, match="older state"):
            await registry.revision()
        with pytest.raises(DamageError, match="older state"):
            await registry.transact([], PUT)


async def test_what_takes_an_answer_of_a_stream_is_not_interrupted() -> None:
    lines = b"".join(b'{"result": {"n": "%d"}}\n' % number for number in range(3))
    stream = b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n" + lines
    taken = []
    async with made_up(lambda path: stream) as [member], open_client([member.url]) as client:
        with trio.CancelScope() as scope:

            async def take(answer: Json) -> None:
                scope.cancel()
                await trio.lowlevel.checkpoint()
                taken.append(answer["n"])

            await client.endpoints[0].listen("/v3/watch", {}, take)
    assert taken == ["0", "1", "2"]


async def test_what_fails_to_take_an_answer_ends_the_stream_with_its_own_words() -> None:
    lines = b'{"result": {}}\n{"result": {}}\n'
    stream = b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n" + lines
    taken = []

    async def take(answer: Json) -> None:
        taken.append(answer)
        raise DamageError("my own")

    async with made_up(lambda path: stream) as [member], open_client([member.url]) as client:
        with pytest.raises(DamageError, match="my own"):
            await client.endpoints[0].listen("/v3/watch", {}, take)
    assert len(taken) == 1


async def test_an_error_within_a_stream_is_one() -> None:
    line = b'{"error": {"grpc_code": 14, "http_code": 503, "message": "etcdserver: no leader"}}\n'
    stream = b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line)

    async def take(answer: Json) -> None:
        raise AssertionError(answer)

    async with made_up(lambda path: stream) as [member], open_client([member.url]) as client:
        with pytest.raises(UnavailableError, match="no leader"):
            await client.endpoints[0].listen("/v3/watch", {}, take)


@pytest.mark.parametrize("url", ["", "10.0.0.1:2379", "ftp://10.0.0.1", "http://", "http://a:b:c"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError):
        async with open_client([url]):
            pass


async def test_no_endpoint_and_no_certificate_are_refused() -> None:
    with pytest.raises(InvalidError):
        async with open_client([]):
            pass
    with pytest.raises(InvalidError, match="/nowhere/ca"):
        async with open_client(["https://a"], Tls("/nowhere/ca", "/nowhere/cert", "/nowhere/key")):
            pass


@pytest.mark.parametrize(
    "body",
    [
        {"header": {"revision": "x"}},
        {"header": []},
        {"header": {"revision": "5"}, "kvs": [{}]},
        {"header": {"revision": "5"}, "kvs": [{"key": "?"}]},
        {"header": {"revision": "5"}, "kvs": 7},
    ],
)
async def test_an_answer_that_is_not_understood_is_an_error_of_ours(body: dict[str, Any]) -> None:
    async with made_up(lambda _path: response(200, body)) as members, registry_of(members[0].url) as registry:
        with pytest.raises(OutcomeUnknownError):
            await registry.get(b"k")
