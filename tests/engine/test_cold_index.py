"""An index that may not lie in memory is read by a worker first: the loop waits for no disk, and least for one that
hangs."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import BusyError, DrystoneError
from store.core.stamp import Stamp
from store.device.port import FindReply
from store.device.row import UPLOAD, Flag, index_key
from store.engine.device import Device
from store.engine.lookups import ANSWER_SECONDS, LOOK_SECONDS
from store.engine.opening import open_device
from store.engine.options import Options
from store.engine.page_cache import lies_in_memory
from tests.engine.devices import CLUSTER, TABLE, disk_of, on_device, row, write
from tests.replicator.clusters import HEAD, key_of, media_of, opened
from tests.replicator.clusters import write as write_object
from tests.simulation.disk import SimMedium
from tests.simulation.worker import Gate, SimWorker
from tests.simulation.world import run
from tests.twins.index import Entries, IndexMedium, SimIndex

OTHER = b"o" * 16


class ColdIndex(SimIndex):
    """What the loop reads must have been read by a worker before."""

    in_worker = 0

    def __init__(self, medium: IndexMedium) -> None:
        super().__init__(medium)
        self._fetched: set[bytes] = set()
        self.cold_reads: list[bytes] = []

    def _see(self, key: bytes) -> None:
        if self.in_worker:
            self._fetched.add(key)
        elif key not in self._fetched:
            self.cold_reads.append(key)

    def get(self, key: bytes) -> bytes | None:
        self._see(key)
        return super().get(key)

    def range(self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False) -> Entries:
        found = super().range(start, stop, limit, reverse=reverse)
        for key, _ in found:
            self._see(key)
        return found

    def lies_in_memory(self) -> bool:
        return False


def test_the_loop_reads_nothing_that_no_worker_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    following = SimWorker._next

    def job(self: SimWorker) -> None:
        ColdIndex.in_worker += 1
        try:
            following(self)
        finally:
            ColdIndex.in_worker -= 1

    monkeypatch.setattr(SimWorker, "_next", job)
    medium, entries = SimMedium(Random(1)), IndexMedium()
    packed = index_key(row(b"3", 1).key)

    async def use(device: Device, index: ColdIndex) -> None:
        assert await device.find_row(packed) is not None
        assert await device.find_stamp(packed) is not None
        assert len(await device.list_rows(1, TABLE, 0, b"", None, 10, epoch=1)) == 10
        assert len(await device.list_rows(1, TABLE, 0, b"", None, 10, epoch=1, reverse=True)) == 10
        assert len((await device.walk_rows(b"", 50))[0]) == 22
        assert await device.usage(1, TABLE, 0, epoch=1) == {0: (19, 19)}
        assert len((await device.walk_keys(b"", 50))[0]) == 22
        assert len(await device.tombstones(b"", 10)) == 1
        assert len(await device.uploads(b"", 10)) == 1
        assert len(await device.expired(100, 10)) == 1
        assert len(await device.garbage(b"", 10)) == 1
        assert await device.hinted() == [7]
        assert len(await device.hints(7, b"", 10)) == 1
        assert await write(device, row(b"5", 3, b"newer"), row(b"new", 1, b"d", Flag.GUARD)) == [None, None]
        assert index.cold_reads == []

    async def main() -> None:
        options = Options(256 * 1024, 0)
        device = await open_device(1, CLUSTER, disk_of(medium), lambda: SimIndex(entries), options)
        await write(device, *(row(b"%d" % number, 1, b"d") for number in range(19)))
        await write(device, row(b"gone", 2, flags=Flag.TOMBSTONE))
        apart = row(b"mark", 1)
        await write(device, apart._replace(key=apart.key._replace(table=OTHER, name=UPLOAD + b"u" * 16)))
        with_data = apart._replace(
            key=apart.key._replace(table=OTHER), flags=Flag.DATA | Flag.EXPIRES, data_id=b"d" * 16
        )
        await write(device, with_data._replace(expires=99))
        await write(device, with_data._replace(stamp=Stamp(2, 1), expires=98, data_id=b"e" * 16))
        device.note_hint(7, packed, 1)
        await device.close()
        index = ColdIndex(entries)
        await use(await open_device(1, CLUSTER, disk_of(medium), lambda: index, options), index)

    run(main, Random(1))


def shut(device: Device) -> Gate:
    """Nothing is fetched from the device's index until the gate opens."""
    worker = device._lookups._worker.inner
    assert isinstance(worker, SimWorker)
    gate = worker._gate = Gate()
    gate.shut = True
    return gate


def test_an_index_that_is_in_memory_is_read_on_the_loop() -> None:
    async def use(device: Device) -> None:
        packed = index_key(row(b"a", 1).key)
        await write(device, row(b"a", 1, b"data"))
        await device.find_row(packed)
        await trio.sleep(1)
        colds = [not device._lookups.in_memory]
        gate = shut(device)
        assert await device.find_row(packed) is not None
        gate.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.run)
            await trio.sleep(LOOK_SECONDS + 1)
            colds.append(not device._lookups.in_memory)
            nursery.cancel_scope.cancel()
        assert colds == [False, True]

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_where_nobody_reads_writers_have_it_found_out_that_the_index_is_in_memory() -> None:
    async def use(device: Device) -> None:
        assert not device._lookups.in_memory
        await write(device, row(b"a", 1, b"data"))
        await trio.sleep(1)
        assert device._lookups.in_memory

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_disk_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(device: Device) -> None:
        packed = index_key(row(b"a", 1).key)
        gate = shut(device)
        await write(device, row(b"a", 1, b"data"))
        assert not device._lookups.in_memory
        for waits in (ANSWER_SECONDS, 0.0):
            began = trio.current_time()
            with pytest.raises(BusyError):
                await device.find_row(packed)
            assert trio.current_time() - began == pytest.approx(waits)
        gate.open()
        await trio.sleep(1)
        assert await device.find_row(packed) is not None

    on_device(SimMedium(Random(1)), IndexMedium(), use)


async def test_others_serve_what_a_disk_that_hangs_does_not(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimIndex, "lies_in_memory", lambda _self: False)
    async with opened(media_of(3)) as (node, container):
        for number in range(10):
            await node.store.put(container, f"o{number}", b"data", HEAD)
        await trio.sleep(5)
        gate = shut(node.devices[1])
        for number in range(10):
            async with node.store.open(container, f"o{number}") as found:
                assert found.inline == b"data"
        gate.open()


async def test_what_was_overwritten_while_a_cold_replica_was_asked_is_not_opened(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data may be dropped already."""
    monkeypatch.setattr(SimIndex, "lies_in_memory", lambda _self: False)
    async with opened(media_of(3)) as (node, container):
        await write_object(node.store, container, "o", b"old" * 10_000)
        await trio.sleep(10)
        packed = key_of(node, container, "o")[1]
        asked: list[int] = []

        async def overwritten() -> None:
            await write_object(node.store, container, "o", b"new" * 10_000)
            await trio.sleep(5)

        find = Device.submit_find

        def late(self: Device, key: bytes, epoch: int, reply: FindReply) -> None:
            """The first answers give what was there when they were asked for, long after."""

            def answered(device: int, value: bytes | None, error: DrystoneError | None) -> None:
                first = not asked

                async def wait() -> None:
                    if first:
                        await overwritten()
                        done.set()
                    await done.wait()
                    reply(device, value, error)

                asked.append(self.id)
                trio.lowlevel.spawn_system_task(wait)

            find(self, key, epoch, answered if key == packed and len(asked) < 2 else reply)

        done = trio.Event()
        monkeypatch.setattr(Device, "submit_find", late)
        async with node.store.open(container, "o") as found:
            assert len(asked) == 2
            assert b"".join([bytes(piece) async for piece in found.read()]) == b"new" * 10_000


def test_what_is_missing_of_a_file_is_read_in(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(64 * mmap.PAGESIZE + 10))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert lies_in_memory(str(path))
    (tmp_path / "empty").touch()
    assert lies_in_memory(str(tmp_path / "empty"))


def test_a_little_that_is_missing_is_read_in_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.engine.page_cache.FILL_BYTES_MAX", 512 * mmap.PAGESIZE)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2048 * mmap.PAGESIZE))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 1536 * mmap.PAGESIZE, 0, os.POSIX_FADV_DONTNEED)
    assert lies_in_memory(str(path))


def test_a_large_file_that_is_missing_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.engine.page_cache.FILL_BYTES_MAX", 16 * mmap.PAGESIZE)
    path = tmp_path / "file"
    path.write_bytes(os.urandom(64 * mmap.PAGESIZE))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with suppress(BlockingIOError):
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
            pytest.skip("this file system keeps all in memory")
    assert not lies_in_memory(str(path))
