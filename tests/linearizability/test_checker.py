"""The checker says yes to what one copy could have answered, and no to all else."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import permutations
from random import Random

import pytest

from tests.linearizability.checker import Operation, linearization
from tests.linearizability.register import CompareAndSet, Read, Write, explained, register


def read(result: Hashable, invoked: float, returned: float | None) -> Operation:
    return Operation(Read(), result, invoked, returned)


def write(value: Hashable, invoked: float, returned: float | None) -> Operation:
    return Operation(Write(value), None, invoked, returned)


def swap(expected: Hashable, value: Hashable, result: bool, invoked: float, returned: float | None) -> Operation:
    return Operation(CompareAndSet(expected, value), result, invoked, returned)


def test_what_one_copy_could_have_answered() -> None:
    assert explained([])
    assert explained([read(None, 0, 1)])
    assert explained([write(1, 0, 1), read(1, 2, 3)])
    assert explained([write(1, 0, 5), read(None, 1, 2), read(1, 3, 4)])
    assert explained([write(1, 0, 9), write(2, 0, 9), read(2, 1, 2), read(1, 3, 4)])
    assert explained([write(1, 0, 1), swap(1, 2, True, 2, 3), swap(1, 3, False, 4, 5), read(2, 6, 7)])


def test_a_write_that_was_done_is_seen() -> None:
    assert not explained([write(1, 0, 1), read(None, 2, 3)])


def test_what_was_seen_stays_seen() -> None:
    assert not explained([write(1, 0, 9), read(1, 1, 2), read(None, 3, 4)])


def test_a_write_takes_effect_once() -> None:
    assert not explained([write(1, 0, 9), write(2, 0, 9), read(1, 1, 2), read(2, 3, 4), read(1, 5, 6)])


def test_one_of_two_that_compare_with_the_same_wins() -> None:
    assert not explained([swap(None, 1, True, 0, 9), swap(None, 2, True, 0, 9)])
    assert explained([swap(None, 1, True, 0, 9), swap(None, 2, False, 0, 9)])
    assert not explained([write(1, 0, 1), swap(1, 2, False, 2, 3)])


def test_an_unknown_outcome_may_come_late_or_never_but_not_twice() -> None:
    assert explained([write(1, 0, None), read(None, 1, 2)])
    assert explained([write(1, 0, None), read(None, 1, 2), read(1, 3, 4)])
    assert explained([write(1, 0, None), write(2, 1, 2), read(2, 3, 4), read(1, 5, 6)])
    assert not explained([write(1, 0, None), write(2, 1, 2), read(1, 3, 4), read(2, 5, 6), read(1, 7, 8)])
    assert not explained([read(1, 0, 1), write(1, 2, None)])
    assert explained([swap(None, 1, False, 0, None), read(1, 1, 2)])


def test_moments_that_meet_are_at_once() -> None:
    assert explained([write(1, 0, 2), read(None, 2, 3)])


def test_the_order_that_is_given_is_one() -> None:
    history = [write(1, 0, 3), read(2, 2, 5), write(2, 1, 4), write(3, 0, None)]
    order = linearization(history, None, register)
    assert order is not None
    assert [operation.call for operation in order if operation.returned is not None] == [Write(1), Write(2), Read()]


@pytest.mark.parametrize("seed", range(300))
def test_it_agrees_with_a_trial_of_all_orders(seed: int) -> None:
    history = _drawn(Random(seed), 5)
    assert (linearization(history, None, register) is not None) == _tried(history)


@pytest.mark.parametrize("seed", range(300))
def test_what_nothing_speaks_of_decides_nothing(seed: int) -> None:
    history = _drawn(Random(seed), 9)
    assert explained(history) == (linearization(history, None, register) is not None)


def _drawn(random: Random, most: int) -> list[Operation]:
    history = []
    for number in range(random.randint(1, most)):
        invoked = random.randint(0, 9)
        returned = None if random.random() < 0.3 else invoked + random.randint(1, 5)
        value = random.choice([None, 1, 2])
        call = random.choice([Read(), Write(number), CompareAndSet(value, number)])
        result = random.random() < 0.5 if isinstance(call, CompareAndSet) else value
        history.append(Operation(call, result, invoked, returned))
    return history


def _tried(history: list[Operation]) -> bool:
    """The same by brute force, straight from the definition."""
    for count in range(len(history) + 1):
        for order in permutations(history, count):
            if any(operation.returned is not None and operation not in order for operation in history):
                continue
            if any(
                later.returned is not None and later.returned < earlier.invoked
                for number, earlier in enumerate(order)
                for later in order[number + 1 :]
            ):
                continue
            states: set[Hashable] = {None}
            for operation in order:
                states = {after for state in states for after in register(state, operation)}
            if states:
                return True
    return False
