"""Quorum writes by themselves: how many replicas, of which layouts, make a write count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import combinations
from random import Random
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.deadline import Patience
from store.core.errors import (
    BusyError,
    ConflictError,
    DeviceError,
    DrystoneError,
    FullError,
    QuorumError,
    StaleEpochError,
)
from store.core.stamp import Stamp
from store.device.port import Applied, RowWrite
from store.device.row import Row, RowKey
from store.engine.device import Device
from store.objects.model import Policy
from store.objects.quorum_write import WRITE_SECONDS, QuorumWrite
from store.objects.rows import prepare
from store.ring import quorum
from store.wire.errors import UnreachableError
from tests.replicator.clusters import HEAD, media_of, opened, put_out

TWO_COPIES = (Policy(0, "copies", default=True, replicas=2),)
ROW = Row(RowKey(1, b"t" * 16, 0, b"o"), Stamp(1, 1), 0, 0, 4, 0, b"", b"s", b"d", b"data")
TAKEN = Applied("", ROW.stamp.pack(), None)
REFUSED = TAKEN._replace(refused="a guard")
BARRED = Applied("", b"", None, barred=True, floor=Stamp(9, 1).pack())
NEWER = Applied("", Stamp(2, 1).pack(), None, floor=Stamp(2, 1).pack())
Reply = Callable[[Applied | None, DrystoneError | None], None]


class Replica:
    """A device that answers when it is told to."""

    crowded = False
    failed = None

    def __init__(self, *, full: bool = False, out: bool = False, slow: float = 0.0) -> None:
        self.full, self.out, self.slow = full, out, slow
        self.reply: Reply | None = None
        self.reserve = False

    def submit_row(self, _write: RowWrite, reply: Reply, *, reserve: bool) -> None:
        if self.out:
            raise DeviceError("out")
        self.reply = reply
        self.reserve = reserve

    def answer(self, applied: Applied | None = TAKEN, error: DrystoneError | None = None) -> None:
        assert self.reply is not None, "it was not asked"
        self.reply(applied, error)


class Vote:
    """One quorum write over such replicas, and what came of it."""

    def __init__(self, replicas: Mapping[int, Replica], sets: Iterable[tuple[int, ...]]) -> None:
        self.replicas = replicas
        self.ends = 0
        self.outcome: Applied | BaseException | None = None
        self._quorum_write = QuorumWrite(tuple(sets), prepare(ROW, 1), Patience(WRITE_SECONDS), self._end)

    def _end(self, _quorum_write: QuorumWrite) -> None:
        self.ends += 1

    @property
    def undecided(self) -> bool:
        return self.outcome is None

    @property
    def lacking(self) -> tuple[int, ...]:
        return self._quorum_write.lacking()

    @property
    def late(self) -> tuple[int, ...]:
        return self._quorum_write.late()

    async def run(self, *, new: bool = True) -> None:
        try:
            self.outcome = await self._quorum_write.write(
                cast("Mapping[int, Device]", self.replicas),
                {number for number, replica in self.replicas.items() if replica.slow >= WRITE_SECONDS},
                new=new,
            )
        except DrystoneError as error:
            self.outcome = error


def test_any_two_quorums_meet_and_no_smaller_count_would_do() -> None:
    for width in range(1, 9):
        count = quorum(width)
        some = [set(each) for each in combinations(range(width), count)]
        assert all(one & other for one in some for other in some)
        smaller = [set(each) for each in combinations(range(width), count - 1)]
        assert not all(one & other for one in smaller for other in smaller)


@pytest.mark.parametrize("ahead", [0, 1, 3])
async def test_who_names_a_newer_version_than_the_others_took_may_lack_this_one(ahead: int) -> None:
    """It may have forgotten a tombstone that the others have released; where all name one, nobody has taken this."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [tuple(replicas)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        for number, replica in replicas.items():
            replica.answer(TAKEN._replace(stamp=Stamp(9, 1).pack()) if number < ahead else TAKEN)
    assert vote.lacking == ((0,) if ahead == 1 else ())


@pytest.mark.parametrize("width", range(1, 7))
@pytest.mark.parametrize("failing", [False, True])
async def test_a_write_counts_with_the_answer_that_makes_a_quorum(width: int, failing: bool) -> None:
    """No earlier; and where the others fail, it does not count with one less."""
    replicas = {number: Replica() for number in range(width)}
    vote = Vote(replicas, [tuple(replicas)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        answering = list(replicas.values())
        for replica in answering[: width // 2]:
            replica.answer()
            await wait_all_tasks_blocked()
            assert vote.undecided
        if failing:
            for replica in answering[width // 2 :]:
                replica.answer(None, DeviceError("no sync"))
        else:
            answering[width // 2].answer()
    unknown = width // 2 > 0
    assert isinstance(vote.outcome, (QuorumError if unknown else DeviceError) if failing else Applied)
    assert vote.ends == (failing or width <= 2)


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("barred", range(4))
async def test_a_replica_that_a_promise_keeps_from_taking_a_row_does_not_count(barred: int, new: bool) -> None:
    """Where too few are left the row is not placed: it may be written above the promise."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [tuple(replicas)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(vote.run, new=new))
        await wait_all_tasks_blocked()
        for number, replica in replicas.items():
            replica.answer(BARRED if number < barred else TAKEN)
    assert isinstance(vote.outcome, (Applied, Applied, type(None), type(None))[barred])
    assert vote.lacking == (tuple(range(barred)) if barred < 3 else ())
    assert vote.ends == 1


@pytest.mark.parametrize("covering", range(4))
async def test_a_newer_version_counts_only_where_it_stands_for_the_row(covering: int) -> None:
    """Else it may be one that has not seen this row, or that came before it."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [tuple(replicas)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        for number, replica in replicas.items():
            replica.answer(NEWER._replace(covers=number < covering))
    assert isinstance(vote.outcome, Applied if covering >= 2 else type(None))
    assert vote.lacking == (), "all have something newer"


async def test_before_all_have_answered_those_that_failed_may_lack_it_too() -> None:
    """An index that is written now ends the doubt about the row; who has failed must be known by then."""
    replicas = {1: Replica(out=True), 2: Replica(), 3: Replica(), 4: Replica(), 5: Replica()}
    vote = Vote(replicas, [(1, 2, 3, 4, 5)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        assert vote.late == (), "nobody has it: there is nothing to lack"
        replicas[2].answer()
        replicas[3].answer(None, DeviceError("died"))
        assert sorted(vote.late) == [1, 3, 4, 5]
        replicas[4].answer(REFUSED)
        assert sorted(vote.late) == [1, 3, 5], "who refused it is not to have it"
        replicas[5].answer()
    assert vote.ends == 1
    assert sorted(vote.lacking) == [1, 3]


async def test_a_write_needs_a_quorum_of_every_layout() -> None:
    replicas = {number: Replica() for number in range(6)}
    vote = Vote(replicas, [(0, 1, 2), (2, 3, 4, 5)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        for number in (0, 1, 2, 3):
            replicas[number].answer()
            await wait_all_tasks_blocked()
            assert vote.undecided
        replicas[5].answer()
        await wait_all_tasks_blocked()
        assert vote.outcome == TAKEN
        assert vote.ends == 0
        replicas[4].answer(None, DeviceError("no sync"))
        assert vote.ends == 1
        assert vote.lacking == (4,)


async def test_a_new_row_goes_to_no_replica_where_too_few_have_room() -> None:
    replicas = {0: Replica(full=True), 1: Replica(full=True), 2: Replica()}
    vote = Vote(replicas, [(0, 1, 2)])
    await vote.run()
    assert isinstance(vote.outcome, FullError)
    assert [replica.reply for replica in replicas.values()] == [None] * 3


async def test_a_new_row_goes_to_no_replica_where_too_few_answer() -> None:
    """They have not answered others for as long as this writer would wait."""
    replicas = {0: Replica(slow=WRITE_SECONDS), 1: Replica(slow=3 * WRITE_SECONDS), 2: Replica(slow=1)}
    vote = Vote(replicas, [(0, 1, 2)])
    await vote.run()
    assert isinstance(vote.outcome, BusyError)
    assert [replica.reply for replica in replicas.values()] == [None] * 3


async def test_a_replica_that_hangs_is_left_out_where_the_others_are_a_quorum() -> None:
    replicas = {0: Replica(), 1: Replica(slow=WRITE_SECONDS), 2: Replica()}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        replicas[0].answer()
        replicas[2].answer()
    assert vote.outcome == TAKEN
    assert replicas[1].reply is None
    assert (vote.ends, vote.lacking) == (1, (1,)), "it is left a hint"


@pytest.mark.parametrize("having", [0, 1])
async def test_a_writer_waits_for_no_quorum_without_end(autojump_clock: MockClock, having: int) -> None:
    """Whoever has it by then, and whoever takes it later, is remembered."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        for number in range(having):
            replicas[number].answer()
    assert trio.current_time() == WRITE_SECONDS
    assert isinstance(vote.outcome, QuorumError)
    assert set(vote.outcome.answers) == set(range(having, 3))
    assert vote.ends == 0
    assert vote.late == ((1, 2) if having else ())
    for number in range(having, 3):
        replicas[number].answer(None, DeviceError("out")) if number == 2 else replicas[number].answer()
    assert (vote.ends, vote.lacking) == (1, (2,))


async def test_who_is_cancelled_waits_for_the_row_to_arrive_and_no_longer(autojump_clock: MockClock) -> None:
    """Else the turn of its key would end before that."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [(0, 1, 2)])
    with trio.move_on_after(1):
        await vote.run()
    assert trio.current_time() == WRITE_SECONDS
    assert isinstance(vote.outcome, QuorumError)


@pytest.mark.parametrize("having", [0, 1])
async def test_a_refusal_that_was_not_known_before_leaves_the_outcome_unknown(having: int) -> None:
    """FullError would say that it is nowhere."""
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        for number, replica in replicas.items():
            if number < having:
                replica.answer()
            else:
                replica.answer(None, FullError("full, since a moment ago"))
    assert isinstance(vote.outcome, QuorumError if having else FullError)
    assert vote.lacking == ((1, 2) if having else ())


@pytest.mark.parametrize("error", [UnreachableError("the link broke"), DeviceError("out"), BusyError("late")])
async def test_a_ring_is_refused_by_all_only_where_all_have_said_so(error: DrystoneError) -> None:
    """Who was asked and fails may have taken it: StaleEpochError would say that nobody has."""
    for failed in (error, StaleEpochError("the ring is at 2")):
        replicas = {number: Replica() for number in range(3)}
        vote = Vote(replicas, [(0, 1, 2)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(vote.run)
            await wait_all_tasks_blocked()
            replicas[0].answer(None, StaleEpochError("the ring is at 2"))
            replicas[1].answer(None, failed)
            replicas[2].answer(BARRED)
        if failed is error:
            assert (vote.outcome, vote.ends) == (None, 1), "the coordinator is to find out"
        else:
            assert isinstance(vote.outcome, StaleEpochError)


async def test_a_row_that_some_replica_has_goes_into_the_reserve_of_the_others() -> None:
    replicas = {0: Replica(full=True), 1: Replica(full=True), 2: Replica()}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: vote.run(new=False))
        await wait_all_tasks_blocked()
        for replica in replicas.values():
            replica.answer()
        assert all(replica.reserve for replica in replicas.values())
    assert vote.outcome == TAKEN


async def test_a_refusal_is_not_taken_for_an_answer() -> None:
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        replicas[0].answer()
        replicas[1].answer(REFUSED)
        replicas[2].answer(REFUSED)
    assert isinstance(vote.outcome, ConflictError)
    assert vote.lacking == ()  # they will never have it, and should not


async def test_the_answer_tells_the_newest_version_that_was_anywhere() -> None:
    newer = TAKEN._replace(stamp=Stamp(2, 1).pack())
    replicas = {number: Replica() for number in range(3)}
    vote = Vote(replicas, [(0, 1, 2)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vote.run)
        await wait_all_tasks_blocked()
        replicas[0].answer(newer)
        replicas[1].answer()
        replicas[2].answer()
    assert vote.outcome == newer


@pytest.mark.parametrize("seed", range(5))
async def test_with_one_of_two_devices_nothing_is_read_or_written(autojump_clock: MockClock, seed: int) -> None:
    """The smallest even width: half of the replicas are no quorum."""
    async with opened(media_of(2, TWO_COPIES, seed)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        put_out(node, Random(seed).choice(list(node.devices)))
        with pytest.raises((QuorumError, DeviceError)):
            await node.store.put(container, "o", b"new", HEAD)
        with pytest.raises((QuorumError, DeviceError)):
            await node.store.head(container, "o")
