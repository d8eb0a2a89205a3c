"""Clients that mean harm, or are broken: they are dropped, and nobody else notices."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.nbd import protocol
from gateway.nbd.limits import Limits
from gateway.nbd.protocol import Command
from tests.nbd.client import Client, option, request
from tests.nbd.harness import serving, until
from tests.nbd.memory_disk import MemoryDisk, MemoryExports, WatchedDisk

SIZE = 1024 * 1024
MIB = 1024 * 1024


async def dropped(client: Client) -> None:
    with contextlib.suppress(EOFError), trio.fail_after(30):
        while True:
            await client.take(1)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        protocol.CLIENT_FLAGS.pack(2**31),
        protocol.CLIENT_FLAGS.pack(3) + b"x" * 16,
        protocol.CLIENT_FLAGS.pack(3) + protocol.OPTION.pack(protocol.IHAVEOPT, 99, 2**32 - 1),
        protocol.CLIENT_FLAGS.pack(3) + option(3) * 65,
        protocol.CLIENT_FLAGS.pack(3) + option(1, b"no such export"),
    ],
)
async def test_nonsense_in_the_handshake(tmp_path: Path, said: bytes) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE))) as server:
        good = await server.enter()
        client = await server.connect()
        await client.stream.send_all(said)
        await dropped(client)
        assert await good.read(0, 4) == bytes(4)


@pytest.mark.parametrize(
    "said",
    [
        b"x" * 28,
        protocol.REQUEST.pack(protocol.REQUEST_MAGIC + 1, 0, 0, 0, 0, 1),
        request(Command.WRITE, length=32 * MIB + 1),
        request(Command.WRITE, length=2**32 - 1),
    ],
)
async def test_nonsense_in_transmission(tmp_path: Path, said: bytes) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports) as server:
        good = await server.enter()
        client = await server.enter()
        await client.send(said)
        await dropped(client)
        assert disk.calls == []
        assert exports.open_now == 1
        assert await good.read(0, 4) == bytes(4)


async def test_a_long_read_takes_no_room_and_gets_an_error(tmp_path: Path) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE))) as server:
        client = await server.enter()
        assert (await client.do(Command.READ, 0, 2**32 - 1)).error == protocol.Error.EINVAL
        assert await client.read(0, 4) == bytes(4)


@pytest.mark.parametrize("drip", [False, True])
async def test_a_slow_handshake(tmp_path: Path, autojump_clock: trio.testing.MockClock, drip: bool) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE)), limits=Limits(handshake=10)) as server:
        client = await server.connect()
        began = trio.current_time()

        async def say_little() -> None:
            for _ in range(100):
                await trio.sleep(1)
                await client.stream.send_all(b"\0")

        async with trio.open_nursery() as nursery:
            if drip:
                nursery.start_soon(say_little)
            await dropped(client)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began == pytest.approx(10)


async def test_the_time_that_an_export_takes_to_open_is_not_the_clients(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    exports.delay = 100
    async with serving(tmp_path, exports, limits=Limits(handshake=10)) as server:
        client = await server.enter()
        assert trio.current_time() >= 100
        assert await client.read(0, 4) == bytes(4)


async def test_half_a_request_is_not_waited_for_for_ever(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = WatchedDisk(SIZE)
    for said in (request(Command.FLUSH)[:10], request(Command.WRITE, length=SIZE) + bytes(100_000)):
        async with serving(tmp_path, MemoryExports(disk=disk), limits=Limits(stall=7)) as server:
            client = await server.enter()
            await client.send(said)
            began = trio.current_time()
            await dropped(client)
            assert trio.current_time() - began == pytest.approx(7)
            assert disk.calls == []


async def test_between_requests_a_client_may_be_silent(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE))) as server:
        client = await server.enter()
        await trio.sleep(100_000)
        assert await client.read(0, 4) == bytes(4)


async def test_who_takes_no_replies_is_dropped_and_holds_no_more_than_its_bound(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    limits = Limits(stall=7, bytes_in_flight=4 * MIB)
    async with serving(tmp_path, exports, limits=limits) as server:
        client = await server.enter()
        await client.send(*(request(Command.READ, 0, SIZE) for _ in range(100)))
        await until(lambda: len(disk.calls) >= 3)
        await trio.testing.wait_all_tasks_blocked()
        assert len(disk.calls) < 5
        good = await server.enter()
        assert await good.read(0, 4) == bytes(4)
        began = trio.current_time()
        while exports.open_now > 1:
            await trio.sleep(0.5)
        assert 7 <= trio.current_time() - began < 8
        assert await good.read(0, 4) == bytes(4)


async def test_replies_without_data_have_their_bound_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk), limits=Limits(bytes_in_flight=64 * 1024)) as server:
        client = await server.enter()
        assert isinstance(client.stream, trio.SocketStream)
        client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sent = 0
        with trio.move_on_after(5):
            while sent < 1_000_000:
                await client.send(request(Command.TRIM, 0, 1) * 1000)
                sent += 1000
        assert sent < 1_000_000
        before = len(disk.calls)
        with trio.move_on_after(5):
            await client.send(request(Command.TRIM, 0, 1))
        assert len(disk.calls) == before


async def test_only_so_many_requests_at_once(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk), limits=Limits(requests=3)) as server:
        client = await server.enter()
        disk.gates["read"] = trio.Event()
        await client.send(*(request(Command.READ, 0, 1, cookie=cookie) for cookie in range(10)))
        await until(lambda: len(disk.calls) == 3)
        await trio.testing.wait_all_tasks_blocked()
        assert len(disk.calls) == 3
        disk.gates["read"].set()
        assert {(await client.reply()).cookie for _ in range(10)} == set(range(10))


async def test_one_request_that_is_larger_than_the_bound_is_done_alone(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk), limits=Limits(bytes_in_flight=1000)) as server:
        client = await server.enter()
        disk.gates["read"] = trio.Event()
        await client.send(request(Command.READ, 0, SIZE, cookie=1), request(Command.READ, 0, 1, cookie=2))
        await until(lambda: len(disk.calls) == 1)
        await trio.testing.wait_all_tasks_blocked()
        assert len(disk.calls) == 1
        disk.gates["read"].set()
        assert [(await client.reply()).cookie, (await client.reply()).cookie] == [1, 2]
        await client.send(*(request(Command.READ, 0, 5000, cookie=cookie) for cookie in range(5)))
        assert [(await client.reply()).cookie for _ in range(5)] == list(range(5))


async def test_who_vanishes_with_requests_in_flight(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports) as server:
        client = await server.enter()
        disk.gates["write"] = trio.Event()
        await client.send(request(Command.WRITE, 0, data=b"gone"), request(Command.READ, 0, SIZE))
        await until(lambda: len(disk.calls) == 2)
        await client.stream.aclose()
        good = await server.enter()
        disk.gates["write"].set()
        await until(lambda: exports.open_now == 1)
        assert await good.read(0, 4) == b"gone"


async def test_as_many_connections_as_are_allowed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE)), limits=Limits(connections=2)) as server:
        one, other = await server.enter(), await server.enter()
        third = await server.connect()
        with trio.move_on_after(5) as scope:
            await third.take(1)
        assert scope.cancelled_caught
        await other.send(request(Command.DISC))
        await third.enter()
        assert await third.read(0, 4) == await one.read(0, 4) == bytes(4)
