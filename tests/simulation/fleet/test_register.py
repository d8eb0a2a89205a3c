"""The judge of clusters' histories says yes to what one copy could have answered, and no to all else."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count

import pytest

from tests.simulation.engine_checks import WrongError
from tests.simulation.fleet.history import History, Record, Version
from tests.simulation.fleet.register import ABSENT, EXISTS, Present, Read, Swap, Upsert, Write, WriteIf, judge

ONE, TWO, THREE = Version("v1", "e1"), Version("v2", "e2"), Version("v3", "e1")
NAME = ("c1", "o")
BOX = ("", "box")


class Told:
    """A history as it is told: one request after the other, unless they are begun apart."""

    def __init__(self) -> None:
        numbers = count()
        self.history = History(lambda: float(next(numbers)))

    def begin(self, call: Hashable, key: tuple[str, str] = NAME) -> Record:
        return self.history.begin(key, call)

    def end(self, record: Record, result: Hashable = None) -> None:
        self.history.told(record, result)

    def say(self, call: Hashable, result: Hashable = None, key: tuple[str, str] = NAME) -> None:
        self.end(self.begin(call, key), result)

    @property
    def right(self) -> bool:
        try:
            judge(self.history)
        except WrongError:
            return False
        return True


def test_what_was_written_is_read_until_something_else_is() -> None:
    told = Told()
    told.say(Read(), None)
    told.say(Write(ONE))
    told.say(Read(), ONE)
    told.say(Write(None))
    told.say(Read(), None)
    assert told.right
    told.say(Read(), ONE)
    assert not told.right


def test_a_write_that_was_acknowledged_is_not_lost() -> None:
    told = Told()
    told.say(Write(ONE))
    told.say(Read(), None)
    assert not told.right


@pytest.mark.parametrize(("condition", "there"), [(ABSENT, None), ("e1", ONE), (EXISTS, TWO)])
def test_a_condition_is_judged_by_what_is_there(condition: str, there: Version | None) -> None:
    for result in (True, False):
        told = Told()
        if there is not None:
            told.say(Write(there))
        told.say(WriteIf(condition, THREE), result)
        assert told.right == result
        told.say(Read(), THREE if result else there)
        assert told.right == result


def test_one_of_two_that_make_the_same_wins() -> None:
    told = Told()
    first, second = told.begin(WriteIf(ABSENT, ONE)), told.begin(WriteIf(ABSENT, TWO))
    told.end(first, True)
    told.end(second, True)
    assert not told.right


def test_what_was_changed_is_what_was_there() -> None:
    told = Told()
    told.say(Write(ONE))
    first, second = told.begin(Swap(ONE, TWO)), told.begin(Swap(ONE, THREE))
    told.end(first)
    assert told.right
    told.end(second)
    assert not told.right


def test_an_unknown_outcome_may_come_late_but_once() -> None:
    told = Told()
    told.begin(Write(ONE))
    told.say(Read(), None)
    told.say(Read(), ONE)
    told.say(Write(TWO))
    assert told.right
    told.say(Read(), TWO)
    told.say(Read(), ONE)
    assert not told.right


def test_what_certainly_was_not_done_is_not_seen() -> None:
    told = Told()
    told.history.never(told.begin(Write(ONE)))
    assert told.right
    told.say(Read(), ONE)
    assert not told.right


def test_containers_are_made_once_and_change() -> None:
    told = Told()
    told.say(Upsert("m1"), (True, "c1"), BOX)
    told.say(Upsert("m2"), (False, "c1"), BOX)
    told.say(Read(), Version("m2", "c1"), BOX)
    told.say(Present(), True, BOX)
    assert told.right
    told.say(Read(), Version("m1", "c1"), BOX)
    assert not told.right


def test_a_container_whose_making_has_no_known_outcome_is_seen_later() -> None:
    told = Told()
    told.begin(Upsert("m1"), BOX)
    told.say(Read(), None, BOX)
    told.say(Read(), Version("m1", "c1"), BOX)
    assert told.right
    told.say(Upsert("m2"), (True, "c2"), BOX)
    assert not told.right


def test_nothing_is_acknowledged_in_a_container_that_was_deleted() -> None:
    told = Told()
    told.say(Upsert("m1"), (True, "c1"), BOX)
    told.say(Write(ONE))
    told.say(Write(None))
    told.say(WriteIf(EXISTS, None), True, BOX)
    told.say(Read(), None)
    assert told.right
    told.say(Write(TWO))
    assert not told.right


def test_no_container_is_deleted_with_something_in_it() -> None:
    told = Told()
    told.say(Upsert("m1"), (True, "c1"), BOX)
    told.say(Write(ONE))
    told.say(Upsert("m2"), (False, "c1"), BOX)
    told.say(WriteIf(EXISTS, None), True, BOX)
    assert not told.right
