"""Fences of data outlive what a device outlives, and list all blocks of lower epochs that there will be."""

from __future__ import annotations

from random import Random
from typing import NoReturn

import pytest
import trio

from store.core.errors import BusyError, DeviceError, DrystoneError, FencedError
from store.core.worker import WatchedWorker
from store.device.block import BlockKey, encode_meta
from store.device.data_fence import index_key
from store.device.port import Fenced
from store.device.record import Kind, seal
from store.device.row import Location
from store.engine import replay
from store.engine.check import check_device
from store.engine.compaction import Compactor
from store.engine.device import Device
from store.engine.options import Options
from tests.engine.devices import disk_of, on_device, row, write
from tests.simulation.disk import SimMedium
from tests.simulation.worker import Gate, SimWorker
from tests.twins.index import IndexMedium

SMALL = Options(64 * 1024, 0, spares=0)
DATA, OTHER = b"D" * 16, b"E" * 16

Answers = list[tuple[Fenced | None, DrystoneError | None]]


def ask(device: Device, epoch: int, data_id: bytes = DATA) -> Answers:
    """Ask for a fence; its answer, once there is one."""
    answers: Answers = []
    device.submit_fence(data_id, epoch, lambda _device, fenced, error: answers.append((fenced, error)))
    return answers


async def fence(device: Device, epoch: int, data_id: bytes = DATA) -> Fenced:
    answers = ask(device, epoch, data_id)
    await trio.sleep(1)
    ((fenced, error),) = answers
    if error is not None:
        raise error
    assert fenced is not None
    return fenced


def submit(device: Device, block: int, epoch: int | None = None, data_id: bytes = DATA) -> list[DrystoneError | None]:
    answers: list[DrystoneError | None] = []
    key = BlockKey(data_id, block, 0)
    sealed = seal(Kind.BLOCK, encode_meta(key, row(b"o", 1).key), bytes(5000))
    device.submit_block(key, sealed, answers.append, epoch=epoch)
    return answers


def gate_of(worker: WatchedWorker) -> Gate:
    assert isinstance(worker.inner, SimWorker)
    gate = worker.inner._gate = Gate()
    return gate


async def fill_up(device: Device, segments: int = 3) -> None:
    """Leave what is in the log so far to compaction."""
    for time_us in range(1, segments * 12):
        await write(device, row(b"comes and goes", time_us, bytes(5000)))
    await device.flush()


async def compact_all(device: Device) -> None:
    while await device.compact(0.99):
        await device.flush()


def location_of(device: Device) -> Location:
    return device.data_fences.durable[DATA].location


# -- the log and the index ---------------------------------------------------------------------------------------------


def test_a_fence_is_answered_when_it_is_durable() -> None:
    async def use(device: Device) -> None:
        await fence(device, 5)
        log = gate_of(device._log_worker)
        log.shut = True
        higher, first, again = ask(device, 7), ask(device, 5, OTHER), ask(device, 7)
        await trio.sleep(1)
        assert higher == first == again == []
        with pytest.raises(FencedError):
            submit(device, 0, 6)
        log.open()
        await trio.sleep(1)
        assert higher == again == [(Fenced(5, []), None)]
        assert first == [(Fenced(5, []), None)]

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_compaction_keeps_a_fence_and_what_was_its_first_epoch() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await fence(device, 5)
        await fence(device, 8)
        given = location_of(device)
        await fill_up(device)
        await compact_all(device)
        assert given.segment not in device.segments.kinds
        assert (await check_device(device)).problems == []

    async def after(device: Device) -> None:
        with pytest.raises(FencedError):
            submit(device, 0, 7)
        assert await fence(device, 8) == Fenced(5, [])
        report = await check_device(device)
        assert (report.problems, report.fences) == ([], 1)

    async def forgotten(device: Device) -> None:
        held = location_of(device)
        await fill_up(device)
        assert device.segment_usage.live[held.segment] >= held.length
        device.forget_fence(DATA)
        await fill_up(device)
        await compact_all(device)
        assert held.segment not in device.segments.kinds
        assert (await check_device(device)).problems == []
        assert index_key(DATA) not in index.entries

    on_device(medium, index, before, SMALL)
    on_device(medium, index, after, SMALL)
    index.wipe()
    on_device(medium, index, after, SMALL)
    on_device(medium, index, forgotten, SMALL)


@pytest.mark.parametrize("flushed", [False, True])
def test_a_copy_of_a_lower_fence_behind_a_higher_one_is_dead(monkeypatch: pytest.MonkeyPatch, flushed: bool) -> None:
    """Where compaction copied it while the higher one came, and after a start that finds both."""
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await fence(device, 5)
        lower = location_of(device)
        await fill_up(device)
        lives = Compactor._lives
        asked: list[Answers] = []

        def lives_and_ask(self: Compactor, found: object) -> bool:
            answer = lives(self, found)  # type: ignore[arg-type]
            if answer and not asked:
                asked.append(ask(device, 9))
            return answer

        monkeypatch.setattr(Compactor, "_lives", lives_and_ask)
        await device.compactor.compact_segment(lower.segment)
        assert asked == [[(Fenced(5, []), None)]]
        with pytest.raises(FencedError):
            submit(device, 0, 8)
        assert (await check_device(device)).problems == []
        if flushed:
            await device.flush()

    async def after(device: Device) -> None:
        with pytest.raises(FencedError):
            submit(device, 0, 8)
        assert await fence(device, 9) == Fenced(5, [])
        assert (await check_device(device)).problems == []

    on_device(medium, index, before, SMALL)
    on_device(medium, index, after, SMALL)
    on_device(medium, index, after, SMALL)


def test_a_fence_that_is_forgotten_on_its_way_is_none() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        log = gate_of(device._log_worker)
        log.shut = True
        answers = ask(device, 5)
        await trio.sleep(1)
        device.forget_fence(DATA)
        log.open()
        await trio.sleep(1)
        assert len(answers) == 1
        await device.flush()
        assert (await check_device(device)).fences == 0

    async def after(device: Device) -> None:
        assert await fence(device, 7) == Fenced(7, [])

    on_device(medium, index, before)
    on_device(medium, index, after)


def test_a_fence_that_cannot_be_read_any_more_is_damage_and_the_next_one_tells() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await fence(device, 5)
        await device.flush()

    async def after(device: Device) -> None:
        assert device.health.damages == 1
        with pytest.raises(FencedError):
            submit(device, 0, 5)
        assert await fence(device, 6) == Fenced(6, [])

    on_device(medium, index, before)
    value = index.entries[index_key(DATA)]
    index.entries[index_key(DATA)] = value[:3] + bytes([value[3] ^ 1]) + value[4:]
    on_device(medium, index, after)


@pytest.mark.parametrize("cut", [False, True])
def test_a_device_that_has_lost_part_of_its_log_keeps_no_fence_since_a_higher_one_may_be_lost(cut: bool) -> None:
    """Also where a start was cut short, with the index behind what is damaged."""
    medium, index = SimMedium(Random(1)), IndexMedium()
    lost: list[Location] = []

    async def before(device: Device) -> None:
        await fence(device, 5)
        await device.flush()
        await fence(device, 9)
        lost.append(location_of(device))
        for time_us in range(1, 9):
            await write(device, row(b"a", time_us))

    async def cut_short(device: Device) -> None:
        raise AssertionError("it was not to be opened")

    async def after(device: Device) -> None:
        assert not device.in_sync
        with pytest.raises(FencedError):
            submit(device, 0, 6)
        assert await fence(device, 10) == Fenced(10, [])
        assert (await check_device(device)).problems == []

    on_device(medium, index, before)
    disk_of(medium).open(f"log/{lost[0].segment:016x}.log").write(lost[0].offset, [bytes(lost[0].length)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "BATCH", 4)
        patch.setattr(replay, "CHANGES", 0)
        patch.setattr(replay, "read_bulk", _no_more)
        if cut:
            with pytest.raises(OSError, match="no more"):
                on_device(medium, index, cut_short)
    on_device(medium, index, after)


def _no_more(*_: object) -> NoReturn:
    raise OSError("no more")


def test_a_fence_that_could_not_be_written_may_be_asked_for_again() -> None:
    medium = SimMedium(Random(1))

    async def use(device: Device) -> None:
        await fence(device, 5)
        medium.fail_syncs = 1
        with pytest.raises(DeviceError):
            await fence(device, 7)
        assert device.data_fences.durable[DATA].epoch == 5
        medium.capacity = medium.used()
        with pytest.raises(BusyError):
            await fence(device, 7)
        medium.capacity = 1 << 40
        assert await fence(device, 7) == Fenced(5, [])
        assert device.data_fences.durable[DATA].epoch == 7

    on_device(medium, IndexMedium(), use, SMALL)


# -- blocks that were submitted before ---------------------------------------------------------------------------------


def test_a_fence_does_not_wait_for_blocks_of_other_data() -> None:
    async def use(device: Device) -> None:
        gate_of(device._bulk_sync_worker).shut = True
        submit(device, 0, data_id=OTHER)
        device.submit_sync(device.data_losses, lambda _error: None)
        await trio.sleep(1)
        assert await fence(device, 5) == Fenced(5, [])

    on_device(SimMedium(Random(1)), IndexMedium(), use)


@pytest.mark.parametrize("where", ["queue", "write", "written", "sync"])
def test_a_fence_waits_for_blocks_of_its_data_wherever_they_are(where: str) -> None:
    async def use(device: Device) -> None:
        await fence(device, 5)
        writes, syncs = gate_of(device._bulk_worker), gate_of(device._bulk_sync_worker)
        writes.shut, syncs.shut = where in ("queue", "write"), where in ("written", "sync")
        if where == "queue":
            submit(device, 0, data_id=OTHER)
        submit(device, 1, 5)
        if where == "sync":
            await trio.sleep(1)
            device.submit_sync(device.data_losses, lambda _error: None)
        await trio.sleep(1)
        answers = ask(device, 7)
        await trio.sleep(1)
        assert answers == []
        writes.open()
        syncs.open()
        await trio.sleep(1)
        assert answers == [(Fenced(5, [1]), None)]

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_block_that_was_lost_and_not_listed_is_not_found_by_the_next_start() -> None:
    """It is whole in its segment."""
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await fence(device, 5)
        submit(device, 0, 5)
        await trio.sleep(1)
        medium.fail_syncs = 1
        device.submit_sync(device.data_losses, lambda _error: None)
        await trio.sleep(1)
        answers = ask(device, 7)
        await trio.sleep(1)
        assert answers == [], "a start may still find it"
        await device.flush()
        await trio.sleep(1)
        assert answers == [(Fenced(5, []), None)]
        assert await fence(device, 8) == Fenced(5, []), "the index says so by now"

    async def after(device: Device) -> None:
        assert await device.has_blocks(DATA) == []

    on_device(medium, index, before)
    on_device(medium, index, after)


def test_a_fence_counts_what_is_written_though_a_block_before_it_is_lost() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()

    async def before(device: Device) -> None:
        await fence(device, 5)
        writes = gate_of(device._bulk_worker)
        submit(device, 9, 5)
        await trio.sleep(1)
        writes.shut = True
        lost: list[DrystoneError | None] = []

        def make_room(error: DrystoneError | None) -> None:
            lost.append(error)
            medium.capacity = 1 << 40

        key = BlockKey(DATA, 0, 0)
        sealed = seal(Kind.BLOCK, encode_meta(key, row(b"o", 1).key), bytes(5000))
        device.submit_block(key, sealed, make_room, epoch=5)
        submit(device, 1, 5)
        submit(device, 2, 5)
        answers = ask(device, 7)
        await trio.sleep(1)
        medium.capacity = medium.used()
        writes.open()
        await trio.sleep(1)
        assert isinstance(lost[0], DrystoneError)
        await device.flush()
        await trio.sleep(1)
        assert answers == [(Fenced(5, [1, 2]), None)]

    async def after(device: Device) -> None:
        assert await device.has_blocks(DATA) == [(1, 0), (2, 0)]

    on_device(medium, index, before)
    on_device(medium, index, after)


def test_a_device_that_goes_out_answers_the_fences_that_wait() -> None:
    async def use(device: Device) -> None:
        await fence(device, 5)
        syncs = gate_of(device._bulk_sync_worker)
        syncs.shut = True
        submit(device, 0, 5)
        await trio.sleep(1)
        answers = ask(device, 7)
        await trio.sleep(1)
        device.fail("gone")
        syncs.open()
        await trio.sleep(1)
        ((fenced, error),) = answers
        assert fenced is None
        assert isinstance(error, DeviceError)

    on_device(SimMedium(Random(1)), IndexMedium(), use)
