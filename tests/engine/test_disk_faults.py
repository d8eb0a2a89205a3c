"""A disk that is full, or goes away: nothing is left half made, the device is out where that is so, and no error comes
up where nobody waits for it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

import pytest
import trio

from store.core.errors import DeviceError, DrystoneError, FullError
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import index_key
from store.engine import segment
from store.engine.device import Device
from store.engine.options import Options
from store.objects.rows import prepare
from tests.engine.devices import on_device, row, write
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.worker import Gate, SimWorker
from tests.twins.index import IndexMedium

LOG_BYTES = 256 * 1024


def test_segments_that_cannot_be_made_leave_nothing() -> None:
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, b"data"))
        await device.flush()
        before = set(medium.files())
        medium.capacity = medium.used() + LOG_BYTES // 2
        for time_us in range(2, 8):
            device._committer._file = None  # the next record begins a new segment
            (error,) = await write(device, row(b"b", time_us, b"data"))
            assert isinstance(error, FullError)
            device.reads.background.submit(device.segments.make_spare, lambda _result: None)
            await trio.sleep(1)
        assert set(medium.files()) == before
        medium.capacity = 1 << 40
        assert await write(device, row(b"b", 9, b"data")) == [None]

    on_device(medium, IndexMedium(), use, Options(LOG_BYTES, 0, spares=0))


def gone(self: SimDisk) -> int:
    raise FileNotFoundError(errno.ENOENT, "the folder has vanished")


async def _small(device: Device) -> None:
    if not device.full:
        await write(device, row(b"b", 2, b"data"))
    elif device.failed is not None:
        raise device.failed


async def _block(device: Device) -> None:
    key = BlockKey(b"D" * 16, 0, 0)
    device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, row(b"o", 1).key), b"data"), lambda _error: None)


@pytest.mark.parametrize("ask", [_small, _block])
def test_a_device_whose_folder_has_vanished_is_out(monkeypatch: pytest.MonkeyPatch, ask: Callable[..., object]) -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"a", 1, b"data"))
        monkeypatch.setattr(SimDisk, "free_bytes", gone)
        for _ in range(40):  # small rows ask now and then
            try:
                await ask(device)  # type: ignore[misc]
            except DeviceError:
                break
        else:
            pytest.fail("nobody noticed")
        assert device.health.failed is not None
        assert device.room.free_bytes() == 0
        with pytest.raises(DrystoneError):
            await device.find_row(index_key(row(b"a", 1).key))

    on_device(SimMedium(Random(1)), IndexMedium(), use)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT])
def test_a_disk_that_fails_in_the_background_takes_the_device_out(code: int) -> None:
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        disk = device._disk
        assert isinstance(disk, SimDisk)

        def fails(_what: str) -> None:
            raise OSError(code, "not now")

        disk.step = fails  # type: ignore[method-assign,assignment]
        device._spares.rolled(1)
        await trio.sleep(1)
        assert isinstance(device.health.failed, DeviceError)

    on_device(medium, IndexMedium(), use)


def test_an_answer_that_cannot_be_taken_in_takes_the_device_out() -> None:
    """Not the program; and whoever waits beside it is answered."""

    async def use(device: Device) -> None:
        answers: list[object] = []

        def raises(_applied: object, _error: object) -> None:
            raise ZeroDivisionError

        for number, reply in enumerate([raises, lambda applied, error: answers.append(error or applied)]):
            device.submit_row(prepare(row(b"%d" % number, 1, b"data"), 0), reply)
        await trio.sleep(1)
        assert len(answers) == 1
        assert isinstance(device.health.failed, DeviceError)

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_row_that_cannot_be_taken_into_the_view_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(device: Device) -> None:
        def raises(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(device.row_table, "apply", raises)
        (error,) = await write(device, row(b"a", 1, b"data"))
        assert isinstance(error, DeviceError)
        assert device.health.failed is error

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_how_long_a_device_has_not_answered_is_known() -> None:
    async def use(device: Device) -> None:
        assert device.slow == 0
        inner = device._log_worker.inner
        assert isinstance(inner, SimWorker)
        gate = inner._gate = Gate()
        gate.shut = True
        device.submit_row(prepare(row(b"a", 1, b"data"), 0), lambda _applied, _error: None)
        await trio.sleep(7)
        device.submit_row(prepare(row(b"b", 1, b"data"), 0), lambda _applied, _error: None)
        await trio.sleep(7)
        assert device.slow == pytest.approx(14)
        gate.open()
        await trio.sleep(1)
        assert device.slow == 0

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_reads_of_segments_that_are_not_open_do_not_open_them_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "OPEN_FILES_MAX", 1)
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        names = [b"%d" % number for number in range(6)]
        for name in names:
            device._committer._file = None
            await write(device, row(name, 1, b"data " + name))
        await trio.sleep(1)  # what is made in the background is made
        on_loop = []
        opens = SimDisk.open

        def watch(self: SimDisk, name: str, *, create: bool = False) -> object:
            on_loop.append(not in_job[-1])
            return opens(self, name, create=create)

        in_job = [False]
        submit = SimWorker._next

        def job(self: SimWorker) -> None:
            in_job.append(True)
            try:
                submit(self)
            finally:
                in_job.pop()

        monkeypatch.setattr(SimDisk, "open", watch)
        monkeypatch.setattr(SimWorker, "_next", job)
        for name in names:
            found = await device.find_row(index_key(row(name, 1).key))
            assert found is not None
            whole = await device.load_row(index_key(row(name, 1).key), found, payload=True)
            assert bytes(whole.payload) == b"data " + name
        assert len(on_loop) > 3
        assert not any(on_loop)

    on_device(medium, IndexMedium(), use)
