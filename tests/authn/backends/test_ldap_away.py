"""Directories that cannot be asked: why is said, it ends, and nothing else is held up."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import MockClock

from authn.backends.backend import DirectoryAwayError
from tests.authn.backends.conftest import Opened
from tests.authn.backends.directory import OpenLdap
from tests.authn.backends.entries import PASSWORD

pytestmark = pytest.mark.process


@pytest.fixture
def autojump_clock() -> MockClock:
    """Its threads are threads here: they wait for whoever says nothing."""
    return MockClock(autojump_threshold=0)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of one that is connected to (by the kernel) and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_a_connection_that_is_refused(opened: Opened, refusing: int) -> None:
    backend = opened(url=f"ldap://127.0.0.1:{refusing}")
    with pytest.raises(DirectoryAwayError, match=f"127.0.0.1:{refusing}: .*refused"):
        await backend.user("u1")
    with pytest.raises(DirectoryAwayError):
        await backend.authenticate("u1", PASSWORD)


@pytest.mark.parametrize(("scheme", "start_tls"), [("ldap", False), ("ldap", True), ("ldaps", False)])
async def test_one_that_says_nothing(
    opened: Opened, silent: int, scheme: str, start_tls: bool, autojump_clock: MockClock
) -> None:
    backend = opened(url=f"{scheme}://127.0.0.1:{silent}", use_tls=start_tls, connection_timeout=1, pool_size=1)
    with pytest.raises(DirectoryAwayError, match="has not answered for 1 s"):
        await backend.user("u1")
    assert trio.current_time() == pytest.approx(1)
    # The thread that nobody waits for any more has ended, or does so.
    autojump_clock.autojump_threshold = float("inf")
    await backend._connections._threads.acquire()


@pytest.mark.parametrize(("scheme", "start_tls"), [("ldap", False), ("ldap", True), ("ldaps", False)])
async def test_who_asks_goes_away(opened: Opened, silent: int, scheme: str, start_tls: bool) -> None:
    backend = opened(url=f"{scheme}://127.0.0.1:{silent}", use_tls=start_tls, pool_size=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backend.user, "u1")
        await trio.testing.wait_all_tasks_blocked()
        assert backend._connections._places.value == 0
        nursery.cancel_scope.cancel()
    assert backend._connections._places.value == 1
    await backend._connections._threads.acquire()


async def test_threads_that_hang_are_bounded(opened: Opened, silent: int, autojump_clock: MockClock) -> None:
    backend = opened(url=f"ldap://127.0.0.1:{silent}", connection_timeout=1, pool_size=2)

    async def ask() -> None:
        with pytest.raises(DirectoryAwayError):
            await backend.user("u1")

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
    assert backend._connections._threads.borrowed_tokens <= 2
    assert backend._connections._threads.total_tokens == 2


async def test_as_many_connections_as_the_pool_has(opened: Opened) -> None:
    backend = opened(pool_size=2)
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(backend.user, "u1")
    assert len(backend._connections._kept) == 2


async def test_nobody_waits_for_a_connection_for_ever(opened: Opened, silent: int, autojump_clock: MockClock) -> None:
    url = f"ldap://127.0.0.1:{silent}"
    backend = opened(url=f"{url},{url}", connection_timeout=1, pool_size=1)

    async def ask() -> None:
        with pytest.raises(DirectoryAwayError, match=f"{url} has not answered for 1 s; {url} has"):
            await backend.user("u1")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DirectoryAwayError, match="all 1 connections to the directory are in use"):
            await backend.user("u1")


async def test_the_next_one_is_asked_where_the_first_is_away(
    opened: Opened, directory: OpenLdap, refusing: int
) -> None:
    backend = opened(url=f"ldap://127.0.0.1:{refusing},{directory.url}")
    assert await backend.user("u1") is not None
    assert await backend.authenticate("u1", PASSWORD) is not None
    assert await backend.authenticate("u1", "wrong") is None


async def test_an_account_that_the_directory_refuses_is_not_a_wrong_password(opened: Opened) -> None:
    backend = opened(password="not it")
    with pytest.raises(DirectoryAwayError, match="Invalid credentials") as raised:
        await backend.authenticate("u1", PASSWORD)
    assert "not it" not in str(raised.value)
    assert "not it" not in repr(backend._options)


async def test_connections_are_kept_and_closed(opened: Opened) -> None:
    backend = opened()
    await backend.user("u1")
    first = backend._connections._kept[0].line
    for _ in range(3):
        await backend.user("u1")
    assert [kept.line for kept in backend._connections._kept] == [first]
    await backend.aclose()
    assert backend._connections._kept == []
    with pytest.raises(trio.ClosedResourceError):
        await first._wire.receive_some()
    assert await backend.user("u1") is not None
    unpooled = opened(use_pool=False)
    await unpooled.user("u1")
    assert unpooled._connections._kept == []


async def test_a_kept_connection_that_the_directory_has_closed(opened: Opened) -> None:
    backend = opened()
    assert await backend.user("u1") is not None
    wire = backend._connections._kept[0].line._wire
    assert isinstance(wire, trio.SocketStream)
    with socket.socket(fileno=os.dup(wire.socket.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
    assert await backend.user("u1") is not None


async def test_a_connection_is_not_kept_for_ever(opened: Opened, autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = float("inf")
    backend = opened(pool_connection_lifetime=60)
    await backend.user("u1")
    first = backend._connections._kept[0].line
    autojump_clock.jump(59)
    await backend.user("u1")
    assert backend._connections._kept[0].line is first
    autojump_clock.jump(1)
    await backend.user("u1")
    assert backend._connections._kept[0].line is not first


@pytest.mark.parametrize("way", ["ldaps", "starttls"])
async def test_tls(opened: Opened, directory: OpenLdap, way: str, tmp_path: Path) -> None:
    options: dict[str, object] = {"url": directory.tls_url} if way == "ldaps" else {"use_tls": True}
    backend = opened(**options, page_size=7, user_filter="(title=tall)")
    assert len((await backend.users()).records) == 25
    assert await backend.authenticate("tall00", PASSWORD) is not None
    assert await backend.authenticate("tall00", "wrong") is None

    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    wary = opened(**options, tls_cacertfile=str(stranger))
    with pytest.raises(DirectoryAwayError):
        await wary.user("u1")
    careless = opened(**options, tls_cacertfile=str(stranger), tls_req_cert="never")
    assert await careless.user("u1") is not None
    with pytest.raises(DirectoryAwayError):
        await opened(**options, tls_cacertfile=str(stranger)).user("u1")


async def test_one_that_says_what_cannot_be_read(opened: Opened, nursery: trio.Nursery) -> None:
    """A DN that is no UTF-8."""
    success = bytes.fromhex("0a0100 0400 0400")

    def told(number: int, kind: int, said: bytes) -> bytes:
        return bytes([0x30, len(said) + 5, 2, 1, number, kind, len(said)]) + said

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(told(1, 0x61, success))
        await stream.receive_some()
        await stream.send_all(told(2, 0x64, b"\x04\x01\xff\x30\x00") + told(2, 0x65, success))

    listeners = await nursery.start(
        lambda task_status: trio.serve_tcp(serve, 0, host="127.0.0.1", task_status=task_status)
    )
    backend = opened(url=f"ldap://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
    with pytest.raises(DirectoryAwayError, match="utf-8"):
        await backend.user("u1")
