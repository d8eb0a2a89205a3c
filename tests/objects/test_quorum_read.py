"""Quorum reads by themselves: replicas that answer late, out of order, with an error, or never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.errors import BusyError, DamageError, DeviceError, DrystoneError, QuorumError, StaleEpochError
from store.device.port import DevicePort, FindReply
from store.objects.hedge import HEDGE_SECONDS, READ_SECONDS
from store.objects.quorum_read import QuorumRead


class Replica:
    """A device that answers when it is told to."""

    def __init__(
        self, value: bytes | None = b"v", *, in_sync: bool = True, refuses: DrystoneError | None = None
    ) -> None:
        self.value = value
        self.in_sync = in_sync
        self.refuses = refuses
        self.at_once = False
        self.number = 0
        self.reply: FindReply | None = None

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        assert (packed_key, epoch) == (b"key", 7)
        if self.refuses is not None:
            raise self.refuses
        self.reply = reply
        if self.at_once:
            self.answer()

    def answer(self, error: DrystoneError | None = None) -> None:
        assert self.reply is not None, "it was not asked"
        self.reply(self.number, None if error else self.value, error)

    @property
    def asked(self) -> bool:
        return self.reply is not None


def reading(replicas: Sequence[Replica]) -> QuorumRead:
    for number, replica in enumerate(replicas):
        replica.number = number
    devices = cast("Mapping[int, DevicePort]", dict(enumerate(replicas)))
    return QuorumRead(range(len(replicas)), devices, b"key", 7)


async def run(read: QuorumRead) -> None:
    """As `Rows.read` does."""
    if not read.ask():
        await read.wait()


async def test_a_quorum_that_answers_at_once_is_waited_for_by_nobody() -> None:
    replicas = [Replica() for _ in range(3)]
    for replica in replicas:
        replica.at_once = True
    read = reading(replicas)
    assert read.ask()
    assert read.answers == {0: b"v", 1: b"v"}
    assert not read.waited
    assert not replicas[2].asked


async def test_as_many_as_a_quorum_needs_are_asked_at_once_and_answer_in_any_order() -> None:
    replicas = [Replica(b"%d" % number) for number in range(5)]
    read = reading(replicas)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, read)
        await wait_all_tasks_blocked()
        assert [replica.asked for replica in replicas] == [True, True, True, False, False]
        for number in (2, 0, 1):
            assert number not in read.answers
            replicas[number].answer()
    assert read.answers == {2: b"2", 0: b"0", 1: b"1"}
    assert read.waited


@pytest.mark.parametrize("error", [DamageError("flipped"), DeviceError("out"), BusyError("slow")])
async def test_one_that_fails_is_replaced_by_the_next(error: DrystoneError) -> None:
    replicas = [Replica() for _ in range(3)]
    read = reading(replicas)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, read)
        await wait_all_tasks_blocked()
        replicas[0].answer(error)
        await wait_all_tasks_blocked()
        assert replicas[2].asked
        replicas[2].answer()
        replicas[1].answer()
    assert set(read.answers) == {1, 2}


async def test_one_that_refuses_or_is_not_in_sync_is_passed_over() -> None:
    replicas = [Replica(in_sync=False), Replica(refuses=StaleEpochError("old")), Replica(), Replica(), Replica()]
    for replica in replicas:
        replica.at_once = True
    read = reading(replicas)
    await run(read)
    assert set(read.answers) == {2, 3, 4}


async def test_one_that_never_answers_delays_nobody_for_long(autojump_clock: MockClock) -> None:
    replicas = [Replica() for _ in range(3)]
    replicas[0].at_once = replicas[2].at_once = True
    read = reading(replicas)
    began = trio.current_time()
    await run(read)
    assert trio.current_time() - began == pytest.approx(HEDGE_SECONDS)
    assert set(read.answers) == {0, 2}
    replicas[1].answer()  # late: nobody listens


async def test_without_a_quorum_it_is_said_who_did_not_answer(autojump_clock: MockClock) -> None:
    replicas = [Replica(), Replica(), Replica()]
    replicas[0].at_once = True
    read = reading(replicas)
    began = trio.current_time()
    with pytest.raises(QuorumError) as caught:
        await run(read)
    assert trio.current_time() - began == pytest.approx(READ_SECONDS)
    assert set(caught.value.answers) == {1, 2}


async def test_all_that_fail_are_named(autojump_clock: MockClock) -> None:
    replicas = [Replica(refuses=DeviceError("out")), Replica(refuses=DeviceError("out")), Replica()]
    replicas[2].at_once = True
    with pytest.raises(QuorumError) as caught:
        await run(reading(replicas))
    assert set(caught.value.answers) == {0, 1}
