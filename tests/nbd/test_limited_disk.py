"""A disk whose clients may do so much in a second."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.nbd.limited_disk import Gates, LimitedDisk, Limits, Rate
from store.blocks.disk import ReadOnlyError
from store.core.errors import NotFoundError
from tests.twins.volumes import MemoryDisk

MIB = 1 << 20


def limited(**limits: Rate) -> LimitedDisk:
    return LimitedDisk(MemoryDisk(16 * MIB, {}), Gates(Limits(**limits)))


async def seconds(*calls: Any) -> float:
    """How long it takes to do all, one after the other."""
    began = trio.current_time()
    for call in calls:
        await call()
    return trio.current_time() - began


async def test_so_many_bytes_a_second_after_a_burst(autojump_clock: MockClock) -> None:
    disk = limited(read_bytes=Rate(MIB, MIB))
    assert await seconds(lambda: disk.read(0, MIB)) == 0
    assert await seconds(*[lambda: disk.read(0, MIB)] * 3) == pytest.approx(3)
    await trio.sleep(10)  # rest gives no more than the burst
    assert await seconds(*[lambda: disk.read(0, MIB)] * 3) == pytest.approx(2)
    assert await seconds(lambda: disk.write(0, bytes(8 * MIB))) == 0


async def test_so_many_requests_a_second(autojump_clock: MockClock) -> None:
    disk = limited(write_requests=Rate(10, 1))
    assert await seconds(*[lambda: disk.write(0, b"x")] * 11) == pytest.approx(1)
    assert await seconds(*[lambda: disk.zero(0, MIB)] * 10, *[lambda: disk.discard(0, MIB)] * 10) == pytest.approx(2)
    assert await seconds(*[lambda: disk.read(0, 1)] * 100, disk.flush) == 0


async def test_the_total_is_of_both(autojump_clock: MockClock) -> None:
    disk = limited(total_requests=Rate(10, 1), read_requests=Rate(1000, 1))
    assert await seconds(*[lambda: disk.read(0, 1), lambda: disk.write(0, b"x")] * 5, disk.flush) == pytest.approx(0.9)


async def test_clients_share_what_there_is(autojump_clock: MockClock) -> None:
    gates = Gates(Limits(read_requests=Rate(10, 1)))
    disks = [LimitedDisk(MemoryDisk(MIB, {}), gates) for _ in range(2)]
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for disk in disks:
            for _ in range(5):
                nursery.start_soon(disk.read, 0, 1)
    assert trio.current_time() - began == pytest.approx(0.9)


async def test_what_a_volume_may_do_is_that_of_its_clients_together(autojump_clock: MockClock) -> None:
    from drystone.served_disks import Meant, ServedDisks
    from tests.blocks.conftest import media, node_of
    from tests.simulation.world import quiet
    from tests.volumes.test_volumes import served

    quiet()
    asked: list[str] = []

    async def limits_of(name: str) -> Limits | None:
        asked.append(name)
        return Limits(read_requests=Rate(10, 1)) if name == "v" else None

    async def meant(name: str) -> Meant:
        if name == "gone":
            raise NotFoundError("there is no such attachment")
        return Meant("v", read_only=True) if name == "attached" else Meant(name)

    async with node_of(media()) as node, served(node) as volumes:
        exports = ServedDisks(volumes, meant, limits_of)
        for name in ("v", "free"):
            await volumes.create(name, MIB, "")
        async with exports.open("v") as one, exports.open("v") as other:
            assert await seconds(*[lambda: one.read(0, 1), lambda: other.read(0, 1)] * 5) > 0.89
        async with exports.open("v"), exports.open("free") as free:
            assert await seconds(*[lambda: free.read(0, 1)] * 100) < 0.5
        assert asked == ["v", "v", "free"]
        assert (await exports.look("attached")).read_only
        assert not (await exports.look("v")).read_only
        async with exports.open("v") as writer, exports.open("attached") as reader:
            await writer.write(0, b"x")
            assert b"".join(map(bytes, await reader.read(0, 1))) == b"x"
            for refused in (reader.write(0, b"y"), reader.zero(0, 1), reader.discard(0, MIB)):
                with pytest.raises(ReadOnlyError):
                    await refused
        for ask in (exports.look("gone"), exports.open("gone").__aenter__()):
            with pytest.raises(NotFoundError):
                await ask
