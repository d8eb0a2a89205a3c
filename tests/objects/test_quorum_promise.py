"""Quorum promises by themselves: whose word makes one that was given."""

from __future__ import annotations

from typing import cast

import pytest
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError
from store.core.stamp import Stamp
from store.device.port import DevicePort, PromiseWrite, Seen, SeenReply
from store.device.promise import Promise, prepare_promise
from store.device.row import RowKey
from store.objects.quorum_promise import QuorumPromise

KEY = RowKey(1, b"t" * 16, 0, b"o")
PROMISE = prepare_promise(Promise(KEY, Stamp(5, 1)), 1)
FLOOR = Stamp(5, 1).pack()
GIVEN = Seen(None, FLOOR, retired=False, believed=True)
UNBELIEVED = GIVEN._replace(believed=False)
BARRED = Seen(None, Stamp(9, 1).pack(), retired=False, believed=True, barred=True)
OUT = DeviceError("out")
Answer = Seen | DrystoneError | None


class Replica:
    """A device that answers at once, or never."""

    def __init__(self, number: int, answer: Answer) -> None:
        self._number = number
        self._answer = answer

    def submit_promise(self, _promise: PromiseWrite, reply: SeenReply, *, reserve: bool) -> None:
        assert reserve
        if isinstance(self._answer, DrystoneError):
            reply(self._number, None, self._answer)
        elif self._answer is not None:
            reply(self._number, self._answer, None)


def asked(answers: list[Answer], sets: tuple[tuple[int, ...], ...], read_set: tuple[int, ...]) -> QuorumPromise:
    devices = {number: cast(DevicePort, Replica(number, answer)) for number, answer in enumerate(answers)}
    return QuorumPromise(sets, read_set, devices, PROMISE, reserve=True)


@pytest.mark.parametrize(
    ("answers", "given"),
    [
        ([GIVEN, GIVEN, None], True),
        ([GIVEN, OUT, GIVEN], True),
        ([GIVEN, OUT, OUT], False),
        ([GIVEN, None, OUT], False),
        ([GIVEN, UNBELIEVED, GIVEN], True),
        ([GIVEN, UNBELIEVED, OUT], False),
        ([UNBELIEVED, UNBELIEVED, UNBELIEVED], False),
        ([OUT, OUT, OUT], False),
    ],
)
async def test_a_quorum_that_is_to_be_believed_makes_a_promise(
    autojump_clock: MockClock, answers: list[Answer], *, given: bool
) -> None:
    promise = asked(answers, ((0, 1, 2),), (0, 1, 2))
    assert (promise.ask() or await promise.wait()) == given
    assert promise.given == given
    assert not promise.barred


@pytest.mark.parametrize(
    ("answers", "given"),
    [
        ([GIVEN, GIVEN, OUT, GIVEN, OUT], True),
        ([GIVEN, GIVEN, OUT, OUT, OUT], False),
        ([GIVEN, OUT, GIVEN, GIVEN, OUT], True),
        ([OUT, OUT, GIVEN, GIVEN, GIVEN], False),
        ([GIVEN, GIVEN, OUT, UNBELIEVED, OUT], True),
    ],
)
async def test_a_promise_needs_a_quorum_of_every_layout(
    autojump_clock: MockClock, answers: list[Answer], *, given: bool
) -> None:
    """Those of the layout that is read are to be believed; the newer one's have yet to come to know all."""
    promise = asked(answers, ((0, 1, 2), (1, 2, 3)), (0, 1, 2))
    assert (promise.ask() or await promise.wait()) == given


async def test_one_that_bars_it_ends_the_wait(autojump_clock: MockClock) -> None:
    promise = asked([GIVEN, BARRED, None], ((0, 1, 2),), (0, 1, 2))
    assert promise.ask()
    assert not promise.given
    assert [seen.floor for seen in promise.barred] == [BARRED.floor]


async def test_what_is_found_is_what_those_had_who_are_believed(autojump_clock: MockClock) -> None:
    """One that came back without its memory may have what was never acknowledged, or deleted for good."""
    version, retired = b"v" * 60, b"r" * 60
    answers: list[Answer] = [
        GIVEN._replace(value=retired, retired=True),
        UNBELIEVED._replace(value=b"x" * 60),
        GIVEN._replace(value=version),
    ]
    promise = asked(answers, ((0, 1, 2),), (0, 1, 2))
    assert promise.ask()
    assert promise.believed == {0: answers[0], 2: answers[2]}
