"""Standby: who is in it reads what the other node has, and takes the volume over with its first write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from drystone.served_disks import Meant, ServedDisks
from drystone.standby import REACH_SECONDS, RELEASE_SECONDS, Standby
from drystone.volume_links import DO, READ, RELEASE, VolumesOfAll
from drystone.volumes import LINGER_SECONDS, READ_HELD_BYTES, Volumes
from store.blocks.disk import Disk, ExtentKind, OwnerReplacedError
from store.core.beside import beside
from store.core.errors import BusyError, ConflictError, DamageError, InvalidError, NotFoundError, RetryableError
from store.remote.process import RemoteProcess
from store.wire.errors import UnreachableError
from tests.blocks.conftest import MIB, media, node_of
from tests.simulation.node import SimNode
from tests.simulation.world import quiet
from tests.volumes.test_volume_links import Link
from tests.volumes.test_volumes import PAGE, epoch, page_of, served


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


class Fickle(Link):
    """A link that fails as it is told. `before` is called with what is asked, first."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self.failing: Exception | None = None
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def ask(self, method: str, seconds: float, arguments: Sequence[Any] = ()) -> Any:
        if self.before is not None:
            await self.before(arguments[0])
        if self.failing is not None:
            raise self.failing
        return await super().ask(method, seconds, arguments)


@dataclass
class Two:
    """The source, n1; the target, n2; and what the target asks the source over."""

    source: Volumes
    target: Volumes
    link: Fickle
    away: set[str] = field(default_factory=set)
    known: bool = True

    def __post_init__(self) -> None:
        processes = lambda: {"n1": cast(RemoteProcess, self.link)} if self.known else {}  # noqa: E731
        self.everyones = VolumesOfAll(self.target, "n2", processes)
        self.standby = Standby(self.target, self.everyones, lambda export: export.startswith("attachment-"))

    def standing_by(self) -> Any:
        return self.standby.open("v")


@asynccontextmanager
async def two(node: SimNode) -> AsyncIterator[Two]:
    away: set[str] = set()
    async with served(node, "n1") as source, served(node, "n2", away) as target:
        await source.create("v", MIB, "")
        yield Two(source, target, Fickle(source), away)


class Guest:
    """A client that has a volume open, in a task of its own, until it is cut off: then it is `cut`."""

    def __init__(self) -> None:
        self.cut = trio.Event()
        self.disk: Disk | None = None
        self.open = trio.Event()
        self.leave = trio.Event()

    async def run(self, volumes: Volumes) -> None:
        try:
            async with volumes.open("v") as self.disk:
                self.open.set()
                await self.leave.wait()
        except OwnerReplacedError:
            self.cut.set()

    async def write(self, offset: int, data: bytes, *, durable: bool = False) -> None:
        assert self.disk is not None
        if self.cut.is_set():
            raise OwnerReplacedError("the connection is gone")
        await self.disk.write(offset, data, durable=durable)

    async def read(self) -> bytes:
        assert self.disk is not None
        return await page_of(self.disk)


class Busy:
    """A client that writes one thing after the other to the same pages, until it is `cut`."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.cut = trio.Event()

    async def run(self, volumes: Volumes) -> None:
        with suppress(OwnerReplacedError):
            async with volumes.open("v") as disk:
                while True:
                    self.asked += 1
                    await disk.write(0, bytes([self.asked % 256]) * (4 * PAGE))
                    self.answered = self.asked
        self.cut.set()

    async def has(self, answered: int) -> None:
        """Wait until so many were answered. Time stands still meanwhile: somebody always has something to do."""
        while self.answered < answered:
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def guest_of(volumes: Volumes) -> AsyncIterator[Guest]:
    guest = Guest()
    async with beside(guest.run, volumes):
        await guest.open.wait()
        yield guest


async def test_what_stands_by_reads_and_takes_nothing_away(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            assert (disk.size, disk.read_only) == (MIB, False)
            assert await page_of(disk) == b"a" * PAGE
            await guest.write(0, b"b" * PAGE)  # not flushed
            assert await page_of(disk) == b"b" * PAGE
            await disk.flush()
            assert [one.kind for one in await disk.extents(0, MIB, 8)] == [ExtentKind.DATA]
            assert await disk.read(MIB, 0) == []
            for offset, length in ((MIB, 1), (-1, 1), (0, MIB + 1)):
                with pytest.raises(IndexError):
                    await disk.read(offset, length)
        await guest.write(0, b"c" * PAGE, durable=True)
        assert await guest.read() == b"c" * PAGE
        assert await epoch(both.target) == 1
        assert set(both.link.asked) == {READ}


async def test_large_reads_come_in_parts(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        content = bytes(range(256)) * (MIB // 256)
        await guest.write(0, content)
        async with both.standing_by() as disk:
            for offset, length in ((0, MIB), (1, MIB - 2), (READ_HELD_BYTES - 1, 2), (PAGE, READ_HELD_BYTES)):
                assert b"".join(map(bytes, await disk.read(offset, length))) == content[offset : offset + length]
        assert both.link.asked == [READ] * (4 + 4 + 2 + 2)


@pytest.mark.parametrize("what", ["write", "zero", "discard"])
async def test_the_first_change_takes_the_volume_over(what: str, autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        await guest.write(PAGE, b"b" * PAGE)  # answered, and never flushed
        async with both.standing_by() as disk:
            if what == "write":
                await disk.write(0, b"c" * PAGE)
            elif what == "zero":
                await disk.zero(0, PAGE)
            else:
                await disk.discard(0, PAGE)
            assert guest.cut.is_set()
            assert await page_of(disk) == (b"c" if what == "write" else b"\0") * PAGE
            assert await page_of(disk, PAGE) == b"b" * PAGE
            row = await both.target.row("v")
            assert (row.epoch, row.holder, row.connections) == (2, "n2", 1)
            assert both.link.asked == [RELEASE]  # and nothing is asked any more
            await disk.write(2 * PAGE, b"d" * PAGE)
            await disk.flush()
            assert len(await disk.extents(0, MIB, 8)) > 1
            await both.target.resize("v", 2 * MIB)
            assert disk.size == 2 * MIB
        async with both.source.open("v") as again:
            assert await page_of(again, 2 * PAGE) == b"d" * PAGE


async def test_who_gives_a_volume_up_closes_it_in_good_order(autojump_clock: MockClock) -> None:
    """All that it answered is durable before the other has it: also where every device loses what was not synced."""
    these = media()
    async with node_of(these) as node, two(node) as both, guest_of(both.source) as guest:
        for page in range(8):
            await guest.write(page * PAGE, bytes([page + 1]) * PAGE)
        await both.source.release((await both.source.find("v")).name, 1)
        assert guest.cut.is_set()
        assert (await both.source.row("v")).holder == ""
    these.lose_power()
    async with node_of(these) as node, served(node) as volumes, volumes.open("v") as disk:
        for page in range(8):
            assert await page_of(disk, page * PAGE) == bytes([page + 1]) * PAGE


async def test_a_write_that_is_in_flight_is_there_before_the_take_over_or_never(autojump_clock: MockClock) -> None:
    """The source writes all the time. What it was answered is there; what it was not, may be, whole; and nothing of it
    comes behind the first write of the target."""
    in_flight = 0
    for seed in range(12):
        async with node_of(media(seed=seed)) as node, two(node) as both:
            if seed % 3 == 2:  # it is fenced, and not asked
                both.link.failing = BusyError("it does not answer")
            busy = Busy()
            async with beside(busy.run, both.source):
                await busy.has(1)
                async with both.standing_by() as disk:
                    await busy.has(busy.answered + seed % 5)
                    await disk.write(4 * PAGE, b"t" * PAGE)
                    in_flight += busy.asked > busy.answered
                    possible = {count % 256 for count in range(busy.answered, busy.asked + 1)}
                    found = b"".join(map(bytes, await disk.read(0, 4 * PAGE)))
                    assert len(set(found)) == 1
                    assert found[0] in possible
                    await disk.write(0, b"u" * PAGE)
                    await busy.cut.wait()
                    assert await page_of(disk) == b"u" * PAGE
                    assert await page_of(disk, PAGE) == found[:PAGE]
                    assert await page_of(disk, 4 * PAGE) == b"t" * PAGE
    assert in_flight


async def test_many_first_writes_take_it_over_once(autojump_clock: MockClock) -> None:
    async with (
        node_of(media()) as node,
        two(node) as both,
        guest_of(both.source),
        both.standing_by() as disk,
        both.standing_by() as other,
    ):
        async with trio.open_nursery() as writers:
            for page in range(16):
                one = disk if page % 2 else other
                writers.start_soon(one.write, page * PAGE, bytes([page]) * PAGE)
        assert await epoch(both.target) == 2
        for page in range(16):
            assert await page_of(disk, page * PAGE) == await page_of(other, page * PAGE) == bytes([page]) * PAGE


async def test_what_another_client_here_has_written_is_read_and_flushed(autojump_clock: MockClock) -> None:
    """As after a node swap, and by clients of several connections."""
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            assert await page_of(disk) == b"a" * PAGE
            async with both.target.open("v") as normal:
                await normal.write(0, b"b" * PAGE)
                assert await page_of(disk) == b"b" * PAGE
                await disk.flush()
                assert both.link.asked == [READ]
                assert (await both.target.row("v")).connections == 2
        with pytest.raises(OwnerReplacedError):
            await guest.write(0, b"x" * PAGE)
    async with (
        node_of(media()) as node,
        two(node) as both,
        guest_of(both.source),
        both.standing_by() as disk,
        both.target.open("v") as normal,
    ):
        await normal.write(0, b"b" * PAGE)
        await disk.flush()  # the first that it does
        assert (await both.target.row("v")).connections == 2


async def test_a_reader_has_it_here_once_the_other_has_closed_it(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            assert await page_of(disk) == b"a" * PAGE
            guest.leave.set()
            assert await page_of(disk) == b"a" * PAGE  # it is not closed at once
            assert await epoch(both.target) == 1
            for _ in range(4):  # reads of others keep nothing open
                await trio.sleep(LINGER_SECONDS / 3)
                assert await page_of(disk) == b"a" * PAGE
            row = await both.target.row("v")
            assert (row.epoch, row.holder, row.connections) == (2, "n2", 1)


@pytest.mark.parametrize("known", [True, False])
async def test_where_the_other_died_reads_open_it_here(known: bool, autojump_clock: MockClock) -> None:
    """`known`: that it is away. Else it is asked for a while."""
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            assert await page_of(disk) == b"a" * PAGE
            both.link.up = False
            if known:
                both.away.add("n1")
            began = trio.current_time()
            assert await page_of(disk) == b"a" * PAGE
            took = trio.current_time() - began
            assert took < 1 if known else took >= REACH_SECONDS
            assert (await both.target.row("v")).holder == "n2"
            # It lives all the same, cut off: it cannot write any more.
            with pytest.raises(OwnerReplacedError):
                await guest.write(0, b"x" * PAGE)
            assert await page_of(disk) == b"a" * PAGE


async def test_a_link_that_comes_back_is_waited_for(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk, trio.open_nursery() as nursery:
            both.link.failing = UnreachableError("the link broke")

            async def repair() -> None:
                await trio.sleep(REACH_SECONDS / 2)
                both.link.failing = None

            nursery.start_soon(repair)
            assert await page_of(disk) == b"a" * PAGE
            assert await epoch(both.target) == 1


@pytest.mark.parametrize("failing", [UnreachableError("away"), BusyError("hangs"), InvalidError("of an old version")])
async def test_who_cannot_be_asked_to_close_it_is_fenced(failing: Exception, autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            both.link.failing = failing
            await disk.write(PAGE, b"b" * PAGE)
            assert await page_of(disk) == b"a" * PAGE
            with pytest.raises(OwnerReplacedError):
                await guest.write(0, b"x" * PAGE)
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest, both.standing_by() as disk:
        both.link.failing = InvalidError("of an old version")
        await page_of(disk)  # as it was before there was standby
        assert await epoch(both.target) == 2


async def test_who_had_it_and_started_anew_does_not_have_it(autojump_clock: MockClock) -> None:
    async with (
        node_of(media()) as node,
        two(node) as both,
        served(node, "n1") as anew,
        guest_of(both.source) as guest,
        both.standing_by() as disk,
    ):
        await guest.write(0, b"a" * PAGE)
        both.link._answers.of = anew
        assert await page_of(disk) == b"a" * PAGE
        assert (await both.target.row("v")).holder == "n2"


async def test_an_answer_that_is_none_is_an_error(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source), both.standing_by() as disk:
        for answer in (None, b"short", "text"):

            async def ask(*_: Any, answer: Any = answer) -> Any:
                return answer

            both.link.ask = ask  # type: ignore[assignment, method-assign]
            with pytest.raises(DamageError):
                await page_of(disk)


async def test_what_cannot_be_opened_is_told_and_tried_again(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node, two(node) as both, guest_of(both.source), both.standing_by() as disk:
        for number in (1, 2):
            node.take_away(number)
        with pytest.raises(RetryableError):
            await disk.write(0, b"a" * PAGE)
        with pytest.raises(RetryableError):
            await page_of(disk)
        for number in (1, 2):
            await node.bring_back(number)
        await disk.write(0, b"b" * PAGE)
        assert await page_of(disk) == b"b" * PAGE


async def test_a_third_node_cuts_off_what_stands_by(autojump_clock: MockClock) -> None:
    """As it does with those who had it open. They may come again."""

    async def lose(both: Two, third: Volumes) -> None:
        async with guest_of(both.source) as guest, both.standing_by() as disk:
            await guest.write(0, b"a" * PAGE)
            assert await page_of(disk) == b"a" * PAGE
            async with third.open("v") as other:
                await other.write(0, b"b" * PAGE)
            for ask in (partial(page_of, disk), partial(disk.write, 0, b"x" * PAGE), disk.flush):
                with pytest.raises(OwnerReplacedError):
                    await ask()
            await trio.sleep_forever()

    async with node_of(media()) as node, two(node) as both, served(node, "n3") as third:
        with pytest.raises(OwnerReplacedError, match="somebody else"):
            await lose(both, third)
        async with both.standing_by() as disk:  # n3 is nobody who can be asked
            assert await page_of(disk) == b"b" * PAGE


async def test_who_has_taken_it_over_is_cut_off_as_others_are(autojump_clock: MockClock) -> None:
    async def lose(both: Two) -> None:
        async with guest_of(both.source), both.standing_by() as disk:
            await disk.write(0, b"a" * PAGE)
            async with guest_of(both.source) as guest:  # as a guest that connects again
                with pytest.raises(OwnerReplacedError):
                    await disk.write(0, b"b" * PAGE)
                assert await guest.read() == b"a" * PAGE
                await trio.sleep_forever()

    async with node_of(media()) as node, two(node) as both:
        with pytest.raises(OwnerReplacedError, match="not served here"):
            await lose(both)


@pytest.mark.parametrize("here", [True, False])
async def test_who_stands_by_is_cut_off_with_all_others(here: bool, autojump_clock: MockClock) -> None:
    async def lose(both: Two) -> None:
        async with guest_of(both.source), both.standing_by() as disk:
            both.link.up = not here
            await both.everyones.cut_off("v")
            await disk.write(0, b"x" * PAGE)
            raise AssertionError

    async with node_of(media()) as node, two(node) as both:
        with pytest.raises(OwnerReplacedError):
            await lose(both)
        async with both.source.open("v") as disk:
            assert await page_of(disk) == bytes(PAGE)


async def test_a_volume_that_was_here_before_is_not_taken_by_what_stands_by(autojump_clock: MockClock) -> None:
    """It lingers here from before the guest went to the other node, which has a newer epoch."""
    async with node_of(media()) as node, two(node) as both:
        async with both.target.open("v") as before:
            await before.write(0, b"a" * PAGE)
        async with guest_of(both.source) as guest:
            await guest.write(0, b"b" * PAGE)
            async with both.standing_by() as disk:
                assert await page_of(disk) == b"b" * PAGE
                await guest.write(0, b"c" * PAGE)
                assert await epoch(both.source) == 2
                await disk.write(PAGE, b"d" * PAGE)
                assert await page_of(disk) == b"c" * PAGE


async def test_where_nobody_has_it_there_is_no_standby(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both:
        async with both.standing_by() as disk:
            assert await epoch(both.target) == 1
            await disk.write(0, b"a" * PAGE)
            await both.target.snapshot("v", "s")
        await trio.sleep(2 * LINGER_SECONDS)
        async with both.standby.open("v@s") as kept:
            assert await page_of(kept) == b"a" * PAGE
        for attribute in ("away", "known"):
            async with guest_of(both.source):
                both.away.update({"n1"} if attribute == "away" else ())
                both.known = attribute != "known"
                async with both.standing_by() as disk:
                    assert await page_of(disk) == b"a" * PAGE
                    assert (await both.target.row("v")).holder == "n2"
                both.away.clear()
            await trio.sleep(2 * LINGER_SECONDS)
        with pytest.raises(NotFoundError):
            async with both.standby.open("w"):
                pass


async def test_a_volume_of_the_same_name_is_another(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        await guest.write(0, b"a" * PAGE)
        async with both.standing_by() as disk:
            await both.source.rename("v", "w")
            await both.source.create("v", MIB, "")
            assert await page_of(disk) == b"a" * PAGE  # as those who have it open
            with pytest.raises(NotFoundError):
                await disk.write(0, b"x" * PAGE)
            assert await epoch(both.target) == 0  # that one was not opened
        async with both.target.open("v") as other:
            assert await page_of(other) == bytes(PAGE)


async def test_a_volume_that_goes_away_is_gone(autojump_clock: MockClock) -> None:
    for keep_us in (0, 3_600_000_000):
        async with node_of(media()) as node, two(node) as both, guest_of(both.source), both.standing_by() as disk:
            await both.source.delete("v", force=True, keep_us=keep_us)
            for ask in (partial(page_of, disk), partial(disk.write, 0, b"x" * PAGE), disk.flush):
                with pytest.raises(NotFoundError):
                    await ask()


async def test_it_grows_while_it_stands_by(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source), both.standing_by() as disk:
        await both.source.resize("v", 2 * MIB)
        await page_of(disk)
        assert disk.size == 2 * MIB
        assert await page_of(disk, MIB) == bytes(PAGE)


async def test_only_exports_of_guests_that_move_stand_by(autojump_clock: MockClock) -> None:
    """All others take the volume over as they always did."""

    async def meant(name: str) -> Meant:
        return Meant("v", read_only=name.endswith("-ro"))

    async def limits_of(_: str) -> None:
        return None

    async with node_of(media()) as node, two(node) as both, guest_of(both.source) as guest:
        exports = ServedDisks(both.target, meant, limits_of, both.standby)
        await guest.write(0, b"a" * PAGE)
        for name in ("attachment-1", "attachment-1-ro"):
            async with exports.open(name) as disk:
                assert await page_of(disk) == b"a" * PAGE
                assert await epoch(both.target) == 1
        assert (await exports.look("attachment-1")).size == MIB
        async with exports.open("other") as disk:
            assert await page_of(disk) == b"a" * PAGE
            assert await epoch(both.target) == 2
            with pytest.raises(OwnerReplacedError):
                await guest.write(0, b"x" * PAGE)


async def test_what_nobody_may_ask_for_is_refused(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as both, guest_of(both.source):
        id_ = (await both.source.find("v")).name
        for offset, length in ((0, READ_HELD_BYTES + 1), (MIB, 1), (-1, 1), (0, -1)):
            with pytest.raises(InvalidError):
                await both.link.ask(DO, 1, (READ, id_, 1, offset, length))
        for arguments in ((READ, id_, 2, 0, 1), (READ, "v", 1, 0, 1), (RELEASE, id_, 2), (RELEASE, "v", 1)):
            with pytest.raises(ConflictError):
                await both.link.ask(DO, 1, arguments)
        with pytest.raises(InvalidError):
            await both.link.ask(DO, 1, (READ, id_, 1, 0))
        assert (await both.source.row("v")).connections == 1


async def test_a_read_for_another_ends_with_the_volume(autojump_clock: MockClock) -> None:
    """One that hangs holds nobody up: the volume is closed, and who asked finds it at its next holder."""
    async with node_of(media()) as node, two(node) as both, guest_of(both.source), trio.open_nursery() as nursery:
        served_there = both.source._served[(await both.source.find("v")).name]
        assert served_there.disk is not None
        hanging = trio.Event()
        ended_before: list[bool] = []

        async def hang(_: int, __: int) -> Any:
            hanging.set()
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            ended_before.append(not served_there.gone.is_set())
            await trio.sleep_forever()

        served_there.disk.read = hang  # type: ignore[assignment, method-assign]
        async with both.standing_by() as disk, both.standing_by() as other:
            pages: list[bytes] = []

            async def read() -> None:
                pages.append(await page_of(disk))

            nursery.start_soon(read)
            await hanging.wait()
            with trio.fail_after(RELEASE_SECONDS):
                await other.write(0, b"b" * PAGE)
                while not pages:
                    await trio.sleep(0.01)
            assert pages[0] in (bytes(PAGE), b"b" * PAGE)  # it was asked for before that was written
            assert ended_before == [True]
