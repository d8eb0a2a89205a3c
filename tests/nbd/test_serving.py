"""One server, a plain client, a disk in memory: what is asked of the disk, and what is answered."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from gateway.nbd import protocol
from gateway.nbd.limits import Limits
from gateway.nbd.protocol import Command, CommandFlag, Error, Option, OptionReply, TransmissionFlag
from gateway.nbd.server import open_unix_listener, serve
from store.blocks.disk import OwnerReplacedError, ReadOnlyError
from store.core.errors import BusyError, DamageError, DrystoneError, FullError
from tests.nbd.client import go_data, request
from tests.nbd.harness import serving, until
from tests.nbd.memory_disk import MemoryDisk, MemoryExports, WatchedDisk

SIZE = 256 * 1024


async def test_one_that_is_cancelled_before_it_serves_ends(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await serve(MemoryExports(), open_unix_listener(str(tmp_path / "socket")))
    assert scope.cancelled_caught


async def test_what_was_written_is_read(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        await client.write(5000, b"stone" * 1000)
        assert await client.read(4990, 5020) == bytes(10) + b"stone" * 1000 + bytes(10)
        assert disk.calls == [("write", 5000, 5000, False), ("read", 4990, 5020)]


async def test_simple_replies(tmp_path: Path) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE))) as server:
        client = await server.enter(structured=False)
        await client.write(10, b"abc")
        await client.send(request(Command.READ, 9, 5, cookie=3))
        assert await client.reply(read=5) == (-1, 1, 3, 0, b"\0abc\0")
        await client.send(request(Command.READ, SIZE, 1, cookie=4))
        assert await client.reply() == (-1, 1, 4, Error.EINVAL, b"")


async def test_every_command_and_flag_reaches_the_disk(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        for command, flags in (
            (Command.TRIM, 0),
            (Command.TRIM, CommandFlag.FUA),
            (Command.WRITE_ZEROES, 0),
            (Command.WRITE_ZEROES, CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO),
            (Command.WRITE_ZEROES, CommandFlag.FUA),
            (Command.CACHE, 0),
        ):
            assert (await client.do(command, 4096, 8192, flags=flags)).error == 0
        assert (await client.do(Command.FLUSH)).error == 0
        await client.write(0, b"x", flags=CommandFlag.FUA)
        assert disk.calls == [
            ("discard", 4096, 8192, False),
            ("discard", 4096, 8192, True),
            ("zero", 4096, 8192, False, False),
            ("zero", 4096, 8192, True, False),
            ("zero", 4096, 8192, False, True),
            ("flush",),
            ("write", 0, 1, True),
        ]


async def test_requests_of_nothing_do_nothing(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        for command in (Command.READ, Command.WRITE, Command.TRIM, Command.WRITE_ZEROES, Command.CACHE):
            assert (await client.do(command)).error == 0
        assert disk.calls == []


async def test_what_is_where(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        await client.write(8192, bytes(4096))
        await client.do(Command.WRITE_ZEROES, 12288, 4096, flags=CommandFlag.NO_HOLE)
        assert await client.status(0, SIZE) == [(8192, 3), (4096, 0), (4096, 2), (SIZE - 16384, 3)]
        assert await client.status(100, 9000, one=True) == [(8092, 3)]
        assert disk.calls[-1] == ("extents", 100, 9000, 1)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (FullError("no room"), Error.ENOSPC),
        (ReadOnlyError("a snapshot"), Error.EPERM),
        (OwnerReplacedError("replaced"), Error.ESHUTDOWN),
        (DamageError("damaged"), Error.EIO),
        (BusyError("busy"), Error.EIO),
        (DrystoneError("else"), Error.EIO),
    ],
)
async def test_errors_of_the_disk(tmp_path: Path, failure: Exception, error: Error) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        disk.failure = failure
        for command, length in (
            (Command.READ, 1),
            (Command.FLUSH, 0),
            (Command.TRIM, 1),
            (Command.WRITE_ZEROES, 1),
            (Command.BLOCK_STATUS, 1),
        ):
            reply = await client.do(command, 0, length)
            assert (reply.kind, reply.error, reply.data) == (0x8001, error, str(failure).encode())
        assert (await client.do(Command.WRITE, 0, data=b"x")).error == error
        disk.failure = None
        assert await client.read(0, 1) == b"\0"


async def test_a_mistake_of_ours_is_told_to_nobody_but_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        disk.failure = RuntimeError("a secret")
        reply = await client.do(Command.READ, 0, 1)
        assert (reply.error, reply.data) == (Error.EIO, b"internal error")
        assert "a secret" in caplog.text
        disk.failure = None
        assert await client.read(0, 1) == b"\0"


async def test_a_read_only_export(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE, read_only=True)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        assert (await client.do(Command.WRITE, 0, data=bytes(200_000))).error == Error.EPERM
        assert (await client.do(Command.TRIM, 0, 4096)).error == Error.EPERM
        assert await client.read(0, 4) == bytes(4)
        assert disk.calls == [("read", 0, 4)]


async def test_replies_leave_as_they_are_ready(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        disk.gates["read"] = trio.Event()
        await client.send(
            request(Command.READ, 0, 1, cookie=1),
            request(Command.READ, 1, 1, cookie=2),
            request(Command.FLUSH, cookie=3),
        )
        assert (await client.reply()).cookie == 3
        disk.gates["read"].set()
        assert {(await client.reply()).cookie, (await client.reply()).cookie} == {1, 2}


@pytest.mark.parametrize("command", [Command.WRITE, Command.TRIM, Command.WRITE_ZEROES])
async def test_fua_is_answered_when_it_lasts(tmp_path: Path, command: Command) -> None:
    disk = WatchedDisk(SIZE)
    disk.content[:] = b"\1" * SIZE
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        disk.syncing = trio.Event()
        data = bytes(4096) if command is Command.WRITE else b""
        await client.send(
            request(command, 0, 4096, flags=CommandFlag.FUA, data=data, cookie=1), request(Command.READ, 0, 1, cookie=2)
        )
        assert (await client.reply()).cookie == 2
        await trio.testing.wait_all_tasks_blocked()
        disk.syncing.set()
        assert (await client.reply()).cookie == 1
        assert disk.lasting[:4097] == bytes(4096) + b"\1"


async def test_a_flush_on_one_connection_covers_what_another_was_answered(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports) as server:
        one, other = await server.enter(), await server.enter()
        await one.write(0, b"one")
        assert await other.read(0, 3) == b"one"
        await other.do(Command.FLUSH)
        assert disk.lasting[:3] == b"one"
        assert exports.open_now == 2


async def test_a_disk_that_grows_takes_requests_there(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    async with serving(tmp_path, MemoryExports(disk=disk)) as server:
        client = await server.enter()
        assert (await client.do(Command.READ, SIZE, 1)).error == Error.EINVAL
        disk.content += bytes(4096)
        assert await client.read(SIZE, 1) == b"\0"


async def test_exports_that_cannot_be_opened(tmp_path: Path) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE))) as server:
        client = await server.connect()
        await client.greet()
        (answer,) = await client.ask(Option.GO, go_data("nix"))
        assert answer == (Option.GO, OptionReply.ERR_UNKNOWN, b"there is no volume 'nix'")
        assert (await client.ask(Option.LIST))[0].kind == OptionReply.ACK
        assert (await client.ask(Option.INFO, go_data("disk")))[-1].kind == OptionReply.ACK
        assert (await client.ask(Option.GO, go_data("disk")))[-1].kind == OptionReply.ACK
        assert (await client.do(Command.FLUSH)).error == 0


async def test_who_only_asks_about_an_export_does_not_open_it(tmp_path: Path) -> None:
    """INFO has the answer of GO, and GO behind it opens it; what cannot be told is refused as it is there."""
    exports = MemoryExports(disk=MemoryDisk(SIZE), locked=MemoryDisk(4096, read_only=True))
    async with serving(tmp_path, exports) as server:
        client = await server.connect()
        await client.greet()
        locked = await client.ask(Option.INFO, go_data("locked"))
        assert protocol.INFO_EXPORT.unpack(locked[0].data)[1] == 4096
        assert protocol.INFO_EXPORT.unpack(locked[0].data)[2] & TransmissionFlag.READ_ONLY
        (refused,) = await client.ask(Option.INFO, go_data("nix"))
        assert refused == (Option.INFO, OptionReply.ERR_UNKNOWN, b"there is no volume 'nix'")
        told = await client.ask(Option.INFO, go_data("disk"))
        assert exports.opened == []
        opened = await client.ask(Option.GO, go_data("disk"))
        assert [answer[1:] for answer in opened] == [answer[1:] for answer in told]
        assert exports.opened == ["disk"]
        assert exports.looked_at == ["locked", "disk"]


async def test_a_listener_may_tell_the_names(tmp_path: Path) -> None:
    async with serving(tmp_path, MemoryExports(disk=MemoryDisk(SIZE)), listing=True) as server:
        client = await server.connect()
        await client.greet()
        assert [answer.data for answer in await client.ask(Option.LIST)] == [b"\0\0\0\4disk", b""]


async def test_disconnecting_ends_what_is_in_flight_and_closes_the_export(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports) as server:
        client = await server.enter()
        disk.gates["write"] = trio.Event()
        await client.send(request(Command.WRITE, 0, data=b"last", cookie=1), request(Command.DISC), b"rubbish")
        await until(lambda: len(disk.calls) == 1)
        assert exports.open_now == 1
        disk.gates["write"].set()
        assert (await client.reply()).cookie == 1
        with pytest.raises(EOFError):
            await client.take(1)
        assert exports.open_now == 0
        assert disk.content[:4] == b"last"


async def test_a_client_that_ends_its_side_gets_its_replies(tmp_path: Path) -> None:
    exports = MemoryExports(disk=MemoryDisk(SIZE))
    async with serving(tmp_path, exports) as server:
        client = await server.enter()
        await client.send(request(Command.READ, 0, 1, cookie=1))
        assert isinstance(client.stream, trio.SocketStream)
        await client.stream.send_eof()
        assert (await client.reply()).cookie == 1
        with pytest.raises(EOFError):
            await client.take(1)


async def test_stopping_ends_what_is_in_flight_and_reads_nothing_more(tmp_path: Path) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports) as server:
        busy, idle, greeted = await server.enter(), await server.enter(), await server.connect()
        await greeted.greet()
        disk.gates["write"] = trio.Event()
        await busy.send(request(Command.WRITE, 0, data=b"last", cookie=1))
        await until(lambda: len(disk.calls) == 1)
        server.shutdown.set()
        for client in (idle, greeted):
            with pytest.raises(EOFError):
                await client.take(1)
        assert exports.open_now == 1
        with pytest.raises(OSError):
            await server.connect()
        await busy.send(request(Command.WRITE, 0, data=b"late", cookie=2))
        disk.gates["write"].set()
        assert (await busy.reply()).cookie == 1
        with pytest.raises(EOFError):
            await busy.take(1)
        await server.stopped.wait()
        assert disk.content[:4] == b"last"


async def test_grace_has_an_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    disk = WatchedDisk(SIZE)
    exports = MemoryExports(disk=disk)
    async with serving(tmp_path, exports, limits=Limits(grace=5)) as server:
        client = await server.enter()
        disk.gates["write"] = trio.Event()
        await client.send(request(Command.WRITE, 0, data=b"x"))
        await until(lambda: len(disk.calls) == 1)
        began = trio.current_time()
        server.shutdown.set()
        await server.stopped.wait()
        assert trio.current_time() - began == pytest.approx(5)
        assert exports.open_now == 0


async def test_only_its_owner_may_use_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "nbd.sock")
    before = os.umask(0)
    try:
        listener = open_unix_listener(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(OSError, match="somebody listens"):
        open_unix_listener(path)
    await listener.aclose()
    await open_unix_listener(path).aclose()  # left by a process that was killed


async def test_what_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "nbd.sock").write_text("mine")
    with pytest.raises(FileExistsError):
        open_unix_listener(str(tmp_path / "nbd.sock"))
    assert (tmp_path / "nbd.sock").read_text() == "mine"
