"""What downloads hold in memory, however many clients do not read theirs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.objects.downloads import PATIENCE, CutOffError, Downloads
from gateway.swift.config import Config
from store.core.limits import BLOCK_BYTES, CHECK_BYTES
from store.objects.interface import Buffer
from tests.gateway_swift.client import HOME, Client

SIZE = 3 * BLOCK_BYTES - 5
ROOM = 4 * BLOCK_BYTES
SMALLS = ROOM // 2 // CHECK_BYTES


class Opened:
    """An object, read block by block as the store does."""

    info: Any = None
    inline = data = None

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        end = SIZE if stop is None else min(stop, SIZE)
        while start < end:
            upto = min(end, (start // BLOCK_BYTES + 1) * BLOCK_BYTES)
            await trio.lowlevel.checkpoint()
            yield memoryview(bytes([start // BLOCK_BYTES]) * (upto - start))
            start = upto


class Crowd:
    """Clients who ask and do not read, and what is held for them."""

    def __init__(self, downloads: Downloads, nursery: trio.Nursery) -> None:
        self.downloads = downloads
        self.nursery = nursery
        self.held: list[int] = []
        self.cut = 0

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.nursery.start_soon(self._stall)

    async def _stall(self) -> None:
        async def never(piece: Buffer) -> None:
            self.held.append(len(piece))
            try:
                await trio.sleep_forever()
            finally:
                self.held.remove(len(piece))

        try:
            await self.downloads.pour(Opened(), 0, SIZE, never)
        except CutOffError:
            self.cut += 1


async def read(downloads: Downloads, start: int = 0, stop: int = SIZE) -> tuple[bytes, list[int]]:
    taken: list[bytes] = []

    async def take(piece: Buffer) -> None:
        taken.append(bytes(piece))
        await trio.lowlevel.checkpoint()

    await downloads.pour(Opened(), start, stop, take)
    return b"".join(taken), [len(piece) for piece in taken]


WHOLE = b"\0" * BLOCK_BYTES + b"\1" * BLOCK_BYTES + b"\2" * (BLOCK_BYTES - 5)


async def test_alone_one_reads_whole_blocks() -> None:
    downloads = Downloads(ROOM)
    assert await read(downloads) == (WHOLE, [BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES - 5])
    assert await read(downloads, 7, BLOCK_BYTES + 7) == (WHOLE[7 : BLOCK_BYTES + 7], [BLOCK_BYTES - 7, 7])


async def test_those_who_do_not_read_hold_no_more_than_there_is(autojump_clock: MockClock) -> None:
    downloads = Downloads(ROOM)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(downloads, nursery)
        crowd.ask(400)
        await wait_all_tasks_blocked()
        assert sorted(crowd.held) == [CHECK_BYTES] * SMALLS + [BLOCK_BYTES] * 2
        await trio.sleep(100 * PATIENCE)
        assert sum(crowd.held) <= ROOM
        nursery.cancel_scope.cancel()


async def test_where_blocks_are_in_use_one_goes_on_in_small_pieces() -> None:
    downloads = Downloads(ROOM)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(downloads, nursery)
        crowd.ask(SMALLS + 1)
        await wait_all_tasks_blocked()
        data, pieces = await read(downloads)
        assert (data, max(pieces)) == (WHOLE, CHECK_BYTES)
        assert await read(downloads, 100, 200) == (WHOLE[100:200], [100])
        assert crowd.cut == 0
        nursery.cancel_scope.cancel()
    assert (await read(downloads))[1][0] == BLOCK_BYTES


async def test_those_who_take_nothing_make_room(autojump_clock: MockClock) -> None:
    downloads = Downloads(ROOM)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(downloads, nursery)
        crowd.ask(SMALLS + 2)
        await wait_all_tasks_blocked()
        await trio.sleep(10 * PATIENCE)
        assert crowd.cut == 0  # nobody waited
        begun = trio.current_time()
        assert (await read(downloads))[0] == WHOLE
        assert crowd.cut == 1
        assert trio.current_time() == begun
        crowd.ask(1)
        await wait_all_tasks_blocked()
        for _ in range(3):  # all that are waited for are cut off, and no more
            assert (await read(downloads, 0, CHECK_BYTES))[0] == WHOLE[:CHECK_BYTES]
        assert crowd.cut == 2
        nursery.cancel_scope.cancel()


async def test_those_who_take_a_little_stay(autojump_clock: MockClock) -> None:
    downloads = Downloads(ROOM)

    async def slowly(piece: Buffer) -> None:
        await trio.sleep(PATIENCE / 2)

    async with trio.open_nursery() as nursery:
        Crowd(downloads, nursery).ask(2)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as readers:
            for _ in range(3 * SMALLS):
                readers.start_soon(downloads.pour, Opened(), 0, 5 * CHECK_BYTES, slowly)
        nursery.cancel_scope.cancel()


async def test_waiting_can_be_given_up(autojump_clock: MockClock) -> None:
    downloads = Downloads(ROOM)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(downloads, nursery)
        crowd.ask(SMALLS + 2)
        await wait_all_tasks_blocked()
        for _ in range(2 * SMALLS):
            with trio.move_on_after(PATIENCE / 100):
                await read(downloads)
        nursery.cancel_scope.cancel()
    assert (await read(downloads))[0] == WHOLE


@pytest.mark.parametrize("kind", ["plain", "static", "dynamic", "ranges"])
async def test_every_kind_of_download_counts(autojump_clock: MockClock, kind: str) -> None:
    """Over the application: clients that do not read, then one that does."""
    client = Client(Config(download_bytes=2 * BLOCK_BYTES))
    data = bytes(range(256)) * 800
    await client("PUT", "c")
    await client("PUT", "c/plain", body=data)
    await client("PUT", "c/static", body=b'[{"path": "c/plain"}]', query={"multipart-manifest": "put"})
    await client("PUT", "c/dynamic", {"X-Object-Manifest": "c/plain"})
    name, extra = ("plain", [(b"range", b"bytes=0-99999,100001-200000")]) if kind == "ranges" else (kind, [])
    held: list[int] = []
    broken = 0

    async def stall() -> None:
        nonlocal broken

        async def send(message: Any) -> None:
            if message.get("body"):
                held.append(len(message["body"]))
                try:
                    await trio.sleep_forever()
                finally:
                    held.remove(len(message["body"]))

        scope = {
            "type": "http",
            "method": "GET",
            "path": "",
            "raw_path": f"/v1/{HOME}/c/{name}".encode(),
            "query_string": b"",
            "headers": [(b"x-auth-token", b"owner"), *extra],
            "client": None,
        }
        try:
            await client.app(scope, trio.sleep_forever, send)
        except CutOffError:
            broken += 1

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(stall)
        await wait_all_tasks_blocked()
        assert sum(held) <= 2 * BLOCK_BYTES
        assert 1 < len(held) < 100
        await trio.sleep(20 * PATIENCE)
        assert broken
        assert (await client("GET", f"c/{name}")).body == data
        nursery.cancel_scope.cancel()


async def test_a_crowd_that_came_bit_by_bit_makes_room(autojump_clock: MockClock) -> None:
    downloads = Downloads(ROOM)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(downloads, nursery)
        for _ in range(40):
            crowd.ask(2)
            await trio.sleep(0.05)
        begun = trio.current_time()
        assert (await read(downloads))[0] == WHOLE
        assert trio.current_time() < begun + 2 * PATIENCE
        nursery.cancel_scope.cancel()
