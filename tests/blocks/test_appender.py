"""The appender: what is answered when, and what becomes of frames whose homes fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from store.blocks.appender import HOMES_SECONDS
from store.blocks.contents import Contents
from store.blocks.disk import OwnerReplacedError
from store.blocks.log_frame import FRAME_PAGES
from store.blocks.open_object import LATE_SECONDS
from store.core.errors import BusyError, DeviceError, FencedError, FullError
from tests.blocks.homes import Home, Log, running, settle
from tests.simulation.volume_workload import small_volume_limits


async def test_a_frame_is_written_when_two_homes_have_it(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        log.homes[1].hangs = log.homes[2].hangs = True
        frame = log.write(1)
        await settle()
        assert not frame.written.is_set()
        log.homes[1].wake()
        assert frame.written.is_set()
        assert not frame.durable.is_set()


async def test_it_is_durable_when_two_homes_have_synced_it_and_not_before(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        for home in log.homes.values():
            home.hangs_at_syncs = True
        frame = await log.written(1)
        answered: list[str] = []

        async def ask(what: str, call: Callable[[], Awaitable[None]]) -> None:
            await call()
            answered.append(what)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "durable", lambda: log.appender.durable(frame))
            nursery.start_soon(ask, "flush", log.appender.flush)
            await settle()
            log.homes[0].wake()
            await settle()
            assert not frame.durable.is_set()
            assert answered == []
            log.homes[2].wake()
            assert frame.durable.is_set()
        assert sorted(answered) == ["durable", "flush"]
        assert log.durable == [frame]


async def test_it_says_what_is_durable(autojump_clock: MockClock) -> None:
    """What is sent is not, nor what waits to be."""
    async with running(Log()) as log:
        assert log.appender.durable_to == 0
        first = await log.written(1)
        assert log.appender.durable_to == first.sequence - 1
        await log.appender.flush()
        assert log.appender.durable_to == first.sequence
        for home in log.homes.values():
            home.hangs = True
        for block in range(8):
            log.write(block, FRAME_PAGES)
        await settle()
        assert log.appender.durable_to == first.sequence


async def test_writes_go_on_while_an_object_is_to_be_closed_and_there_is_no_other(autojump_clock: MockClock) -> None:
    async with running(Log()) as log, trio.open_nursery() as nursery:
        await log.written(1)
        log.rows.open_failures = [BusyError("not now")] * 3
        nursery.start_soon(log.appender.roll)
        await settle()
        assert len(log.rows.opened) == 1
        with trio.fail_after(0.01):
            await log.written(2)
    assert len(log.rows.opened) == 2
    log.check()


async def test_nothing_is_synced_that_nobody_wants_durable(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        await log.written(1)
        await settle()
        assert [home.syncs for home in log.homes.values()] == [0, 0, 0]
        await log.appender.flush()
        assert [home.syncs for home in log.homes.values()] == [1, 1, 1]


async def test_frames_are_written_in_their_order_whoever_has_them(autojump_clock: MockClock) -> None:
    """The second is at two homes, but the first at one alone."""
    async with running(Log()) as log:
        log.homes[1].hangs = log.homes[2].hangs = True
        first = log.write(1, FRAME_PAGES)
        await settle()
        log.homes[1].hangs = False
        second = log.write(2, FRAME_PAGES)
        third = log.write(3)  # is not full: more may come into it
        await settle()
        assert len({first, second, third}) == 3
        assert (second.object, third.object) == (1, 0), "only what is full is sent meanwhile"
        assert not second.written.is_set()
        log.homes[1].wake()
        assert first.written.is_set()
        assert second.written.is_set()


async def test_a_sync_says_nothing_of_a_block_that_is_not_answered(autojump_clock: MockClock) -> None:
    """It may still fail there."""
    async with running(Log()) as log:
        log.homes[2].hangs = True
        frame = await log.written(1)
        log.homes[1].hangs_at_syncs = True
        log.homes[2].hangs = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.appender.durable, frame)
            await settle()
            assert [home.syncs for home in log.homes.values()] == [1, 1, 1]
            assert not frame.durable.is_set()
            log.homes[2].wake()
            assert frame.durable.is_set()


async def test_what_is_appended_at_the_same_time_shares_a_frame(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        assert log.write(1) is log.write(2)
        await settle()
        assert log.write(3).sequence == 2


async def test_only_so_many_frames_are_under_way(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        for home in log.homes.values():
            home.hangs = True
        frames = []
        for block in range(5):
            frames.append(log.write(block * FRAME_PAGES, FRAME_PAGES))
            await settle()
        assert [frame.object for frame in frames] == [1, 1, 1, 0, 0]
        for home in log.homes.values():
            home.hangs = False
            home.wake()
        await settle()
        assert frames[-1].written.is_set()


async def test_small_writes_that_come_while_a_frame_is_under_way_share_the_next(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        for home in log.homes.values():
            home.hangs = True
        frames = []
        for block in range(8):
            frames.append(log.write(block))
            await settle()
        assert [frame.sequence for frame in frames] == [1, 2, 2, 2, 2, 2, 2, 2]
        for home in log.homes.values():
            home.hangs = False
            home.wake()
        await settle()
        assert frames[-1].written.is_set()


async def test_a_home_that_fails_ends_its_object_and_no_write_waits(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        await log.written(1)
        log.homes[0].error = DeviceError("gone")
        await log.written(2)
        await log.written(3)
        await log.appender.flush()
        await trio.sleep(10)
        assert log.sealed == [1]
        assert log.rows.lacking[1] == [0]
        assert log.opened[1].homes == (1, 2)
        await log.appender.end()
        assert log.decided() == [1, 2, 3]
        log.check()


@pytest.mark.parametrize("raises", [False, True])
async def test_when_two_fail_what_is_not_durable_is_sent_again(autojump_clock: MockClock, raises: bool) -> None:
    async with running(Log(5)) as log:
        log.opened[0]._homes.pop(3)
        log.opened[0]._homes.pop(4)
        durable = await log.written(1)
        await log.appender.durable(durable)
        answered = [await log.written(2), await log.written(3)]
        for home in (0, 1):
            log.homes[home].error, log.homes[home].raises = DeviceError("gone"), raises
        with trio.fail_after(5):
            answered.append(await log.written(4))
        assert log.sealed == [1]
        with trio.fail_after(5):
            await log.appender.flush()
        assert log.durable == [durable, *answered]
        assert [(frame.object, frame.block) for frame in log.durable] == [(1, 0), (2, 0), (2, 1), (2, 2)]
        await log.appender.end()
        log.check()


async def test_frames_are_sent_again_although_a_home_fails_at_once(autojump_clock: MockClock) -> None:
    """The object that they are sent to has lost a home when the first of them is sent: it gets all of them."""
    async with running(Log(5)) as log:
        log.opened[0]._homes.pop(3)
        log.opened[0]._homes.pop(4)
        frames = [await log.written(block) for block in range(3)]

        def lose() -> None:
            log.homes[4].error, log.homes[4].raises = DeviceError("gone"), True
            log.rows.before_open = lambda: None

        log.rows.before_open = lose
        log.homes[0].error = log.homes[1].error = DeviceError("gone")
        log.homes[2].error = DeviceError("gone")
        log.homes[1].error = None  # it is back for the next
        frames.append(log.write(9))
        await settle()
        log.homes[2].error = None
        with trio.fail_after(30):
            await log.appender.written(frames[-1])
            await log.appender.flush()
            await log.appender.end()
        assert log.durable == frames
        log.check()


async def test_what_a_home_says_of_the_object_before_counts_nothing_in_the_next(autojump_clock: MockClock) -> None:
    async with running(Log(5)) as log:
        log.opened[0]._homes.pop(3)
        log.opened[0]._homes.pop(4)
        for home in (2, 3, 4):
            log.homes[home].hangs = True
        log.homes[0].error = log.homes[1].error = DeviceError("gone")
        frame = log.write(1)
        await settle()
        assert (frame.object, log.opened[1].homes) == (2, (2, 3, 4))
        log.homes[2].wake(1)
        log.homes[3].wake()
        await settle()
        assert not frame.written.is_set()
        log.homes[2].wake()
        assert frame.written.is_set()


async def test_a_break_with_an_object_ahead_leaves_that_void(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log(5)) as log:
            log.opened[0]._homes.pop(3)
            log.opened[0]._homes.pop(4)
            await log.written(0, 8)
            await log.appender.durable(await log.written(8, 8))
            await settle()
            assert log.rows.opened == [1, 2]
            lost = [log.write(16, 2)]
            log.homes[0].hangs = log.homes[1].hangs = True
            await settle()
            lost.append(log.write(18, 2))
            await settle()
            for home in (0, 1):
                log.homes[home].error, log.homes[home].hangs = DeviceError("gone"), False
                log.homes[home].wake()
            with trio.fail_after(30):
                await log.appender.written(lost[-1])
                await log.appender.end()
            assert log.sealed == [1, 2, 3]
            assert log.rows.sealed[2].contents is not None
            assert log.rows.sealed[2].contents.frames == []
            log.check()


async def test_a_break_whose_rows_cannot_be_written_for_long_loses_nothing(autojump_clock: MockClock) -> None:
    """The object behind is healthy, and its homes seem late: nobody waits for them any more."""
    with small_volume_limits():
        async with running(Log(6)) as log:
            for home in (3, 4, 5):
                log.opened[0]._homes.pop(home)
            await log.written(0, 8)
            first = await log.written(8, 8)
            await settle()
            for each in log.homes.values():
                each.hangs_at_syncs = True
            frames = [await log.written(16, 8)]
            frames += [log.write(24, 2)]
            await settle()
            log.homes[3].hangs = True
            frames += [log.write(26, 2)]
            await settle()
            for home in (0, 1):
                log.homes[home].error = DeviceError("gone")
                log.homes[home].wake()
            log.rows.seal_failures = [None, *[BusyError("not now")] * 8]
            await trio.sleep(12)
            assert log.sealed == [1]
            for home in (2, 3, 4, 5):
                log.homes[home].hangs_at_syncs = log.homes[home].hangs = False
                log.homes[home].wake()
            with trio.fail_after(60):
                await log.appender.flush()
                await log.appender.end()
            assert first.durable.is_set()
            assert all(frame.durable.is_set() for frame in frames)
            log.check()


async def test_a_home_that_hangs_is_left_when_it_is_late(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        log.homes[2].hangs = True
        frame = await log.written(1)
        with trio.fail_after(1):
            await log.appender.durable(frame)  # two are enough
        await trio.sleep(LATE_SECONDS / 2)
        assert log.rows.opened == [1]
        await trio.sleep(LATE_SECONDS)
        assert log.rows.opened == [1, 2]
        assert log.rows.lacking == {1: [2]}


async def test_homes_without_which_nothing_counts_are_waited_for(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        log.homes[1].hangs = log.homes[2].hangs = True
        frame = log.write(1)
        await trio.sleep(100)
        assert not frame.written.is_set()
        log.homes[1].wake()
        log.homes[2].wake()
        assert frame.written.is_set()


async def test_who_has_lost_blocks_counts_no_more(autojump_clock: MockClock) -> None:
    """A home that was opened anew has lost what it had not synced, and a sync of it says nothing of that."""
    async with running(Log()) as log:
        log.homes[2].hangs = True
        frame = await log.written(1)
        log.homes[0].data_losses += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.appender.durable, frame)
            await settle()
            assert not frame.durable.is_set()
            log.homes[2].hangs = False
            log.homes[2].wake()
        assert frame.durable.is_set()


async def test_a_home_that_lost_its_fence_is_left_and_the_writer_goes_on(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        log.homes[1].error = FencedError("no fence here")
        await log.written(1)
        log.homes[1].error = None
        await log.appender.flush()
        await log.appender.end()
        assert log.appender.failed is None
        assert log.rows.lacking[1] == [1]
        log.check()


async def test_who_was_replaced_has_nothing_answered(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        await log.written(1)
        log.rows.owner = False
        for home in log.homes.values():
            home.error = FencedError("a higher epoch")
        with pytest.raises(OwnerReplacedError):
            await log.written(2)
        with pytest.raises(OwnerReplacedError):
            await log.appender.flush()
        with pytest.raises(OwnerReplacedError):
            log.write(3)
        assert log.sealed == []


async def test_an_object_that_another_has_opened_ends_it(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            log.rows.taken = True
            with pytest.raises(OwnerReplacedError):
                await _go_on(log)


async def test_an_object_that_another_has_sealed_otherwise_ends_it(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        await log.written(1)
        await log.rows.seal(1, b"", (), Contents(), ())
        log.homes[0].error = DeviceError("gone")
        with pytest.raises(OwnerReplacedError):
            await _go_on(log)


async def _go_on(log: Log) -> None:
    for block in range(0, 80, 8):
        await log.written(block, 8)
        await trio.sleep(1)


async def test_no_room_for_another_object_is_said_and_ends(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            log.rows.open_failures = [FullError("full")] * 5
            frames = []
            for block in range(0, 40, 8):
                frames.append(log.write(block, 8))
                await settle()
            assert isinstance(log.appender.no_room, FullError)
            assert [frame.written.is_set() for frame in frames] == [True, True, True, False, False]
            with trio.fail_after(60):
                await log.appender.written(frames[-1])
            assert not log.appender.no_room
            await log.appender.end()
            log.check()


async def test_what_was_answered_lasts_when_all_homes_become_full(autojump_clock: MockClock) -> None:
    """It is sealed with all that was written, and not sent to where there is no room: who is killed now loses nothing
    that was answered."""
    async with running(Log()) as log:
        frames = [await log.written(block) for block in range(4)]
        for home in log.homes.values():
            home.full = home.hangs_at_syncs = True
        log.rows.open_failures = [FullError("full")] * 50
        late = log.write(9)
        await settle()
        for home in log.homes.values():
            home.hangs_at_syncs = False
            home.wake()
        await trio.sleep(30)
        assert log.decided() == [1, 2, 3, 4]
        assert [frame.durable.is_set() for frame in frames] == [True] * 4
        assert not late.written.is_set()
        assert isinstance(log.appender.no_room, FullError)
        for home in log.homes.values():
            home.full = False
        log.rows.open_failures = []
        with trio.fail_after(30):
            await log.appender.written(late)
            await log.appender.end()
        assert log.decided() == [1, 2, 3, 4, 5]
        log.check()


async def test_a_break_does_not_wait_long_for_what_was_answered(autojump_clock: MockClock) -> None:
    async with running(Log(5)) as log:
        log.opened[0]._homes.pop(3)
        log.opened[0]._homes.pop(4)
        frames = [await log.written(block) for block in range(2)]
        for home in (0, 1, 2):
            log.homes[home].full = log.homes[home].hangs_at_syncs = True
        log.homes[2].error = DeviceError("gone")
        frames.append(log.write(9))
        await settle()
        log.homes[1].full = False
        with trio.fail_after(30):
            await log.appender.written(frames[-1])
        log.homes[1].hangs_at_syncs = False
        log.homes[1].wake()
        await log.appender.end()
        assert log.durable == frames
        log.check()


async def test_a_full_home_is_not_counted_for_what_it_refused(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        first = await log.written(1)
        log.homes[2].full = True
        log.homes[1].hangs_at_syncs = True
        second = await log.written(2)
        await settle()
        assert first.durable.is_set()
        assert not second.durable.is_set()
        log.homes[1].hangs_at_syncs = False
        log.homes[1].wake()
        await log.appender.flush()
        await log.appender.end()
        assert log.rows.lacking[1] == [2]
        log.check()


async def test_an_object_is_opened_before_the_one_that_fills_is_full(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            await log.written(0, 8)
            await settle()
            assert log.rows.opened == [1]
            await log.written(8, 8)
            await settle()
            assert log.rows.opened == [1, 2]
            assert log.sealed == []
            await log.written(16, 8)
            await settle()
            assert log.sealed == [1]
            assert log.rows.opened == [1, 2]


async def test_it_is_sealed_with_what_is_durable_alone(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            for home in log.homes.values():
                home.hangs_at_syncs = True
            for block in (0, 8, 16):
                await log.written(block, 8)
            await trio.sleep(10)  # one is left by now
            assert log.sealed == []
            log.homes[1].wake()
            await trio.sleep(10)
            assert log.sealed == []
            log.homes[2].wake()
            await settle()
            assert log.sealed == [1]
            assert log.rows.lacking[1] == [0]


async def test_fences_are_forgotten_when_the_row_says_what_is_in_it(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            for block in (0, 8):
                await log.written(block, 8)
            assert log.homes[0].forgot == []
            await log.written(16, 8)
            await settle()
            assert log.homes[0].forgot == [log.opened[0].data_id]


async def test_it_is_closed_when_the_ring_changes(autojump_clock: MockClock) -> None:
    async with running(Log()) as log:
        await log.written(1)
        log.rows.ring_changes.set()
        await settle()
        assert log.sealed == [1]
        await log.written(2)
        assert log.rows.opened == [1, 2]


async def test_it_is_closed_when_a_device_is_back_that_it_belongs_to(autojump_clock: MockClock) -> None:
    """And not before."""
    log = Log()
    log.rows.out[7] = False
    async with running(log):
        await log.written(1)
        await trio.sleep(3600)
        assert log.rows.opened == [1]
        log.rows.out[7] = True
        log.homes[7] = Home()
        await trio.sleep(HOMES_SECONDS)
        await settle()
        assert log.sealed == [1]
        assert log.rows.opened == [1, 2]
        assert 7 in log.opened[-1].homes
        await trio.sleep(3600)
        assert log.rows.opened == [1, 2]


async def test_a_device_that_takes_nothing_though_it_could_is_not_tried_all_the_time(autojump_clock: MockClock) -> None:
    log = Log()
    log.rows.out[7] = True
    async with running(log):
        await trio.sleep(3600)
        assert 10 <= len(log.rows.opened) <= 20
        await log.written(1)
        await log.appender.end()
        log.check()


async def test_at_the_end_all_is_durable_and_sealed(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with running(Log()) as log:
            for block in range(0, 56, 8):
                await log.written(block, 8)
            log.rows.seal_failures = [BusyError("not now")]
            await log.appender.end()
            assert log.sealed == log.rows.opened
            assert log.decided() == list(range(1, 8))
            log.check()
