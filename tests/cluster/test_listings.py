"""What listings may and may not say, given what was going on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.history import Operation
from tests.cluster.listings import check


def op(kind: Any, start: int, end: int | None, **values: Any) -> Operation:
    asked: dict[str, Any] = {name: values.pop(name) for name in ("value", "expect") if name in values and kind != "get"}
    return Operation("p", "c/a", kind, asked, start, values, end, "unknown" if end is None else "ok")


def listing(start: int, end: int, *names: str) -> Operation:
    return Operation("l", "c", "list", {}, start, {"names": list(names)}, end, "ok")


PUT = op("put", 0, 5, value="v")
DELETE = op("delete", 20, 25, existed=True)


@pytest.mark.parametrize(
    ("operations", "names"),
    [
        pytest.param([PUT], ["a"], id="there"),
        pytest.param([], [], id="never written"),
        pytest.param([PUT, DELETE], [], id="deleted"),
        pytest.param([op("put", 0, 35, value="v")], [], id="put meanwhile, before"),
        pytest.param([op("put", 0, 35, value="v")], ["a"], id="put meanwhile, after"),
        pytest.param([PUT, op("delete", 35, 50, existed=True)], ["a"], id="deleted meanwhile, before"),
        pytest.param([PUT, op("delete", 35, 50, existed=True)], [], id="deleted meanwhile, after"),
        pytest.param([op("put", 0, None, value="v")], ["a"], id="unknown put, done"),
        pytest.param([op("put", 0, None, value="v")], [], id="unknown put, not done"),
        pytest.param([PUT, op("delete", 10, None)], ["a"], id="unknown delete, not done"),
        pytest.param([PUT, op("delete", 10, None)], [], id="unknown delete, done"),
        pytest.param([op("cas", 0, 5, value="v", expect=None, swapped=False)], [], id="refused swap"),
        pytest.param([PUT, op("delete", 4, 9, existed=True)], ["a"], id="put and delete at once"),
        pytest.param([PUT, op("delete", 4, 9, existed=True)], [], id="put and delete at once, other order"),
    ],
)
def test_what_may_be_listed(operations: list[Operation], names: list[str]) -> None:
    assert check([*operations, listing(30, 40, *names)]).mistakes == []


@pytest.mark.parametrize(
    ("operations", "names", "mistake"),
    [
        pytest.param([PUT], [], "missing", id="missing"),
        pytest.param([], ["a"], "phantom", id="phantom"),
        pytest.param([PUT, DELETE], ["a"], "phantom", id="deleted before"),
        pytest.param([op("put", 45, 50, value="v")], ["a"], "phantom", id="written only later"),
        pytest.param([op("cas", 0, 5, value="v", expect=None, swapped=False)], ["a"], "phantom", id="refused swap"),
        pytest.param([op("cas", 0, 5, value="v", expect=None, swapped=True)], [], "missing", id="swap"),
        pytest.param([PUT, op("delete", 10, 15, existed=False)], ["a"], "phantom", id="a delete found nothing"),
        pytest.param([PUT, op("delete", 45, 50, existed=True)], [], "missing", id="deleted only later"),
        pytest.param([op("put", 0, None, value="v"), op("get", 6, 9, value="v")], [], "missing", id="it was read"),
        pytest.param(
            [op("put", 0, None, value="v"), op("get", 6, 9, value="v"), DELETE], ["a"], "phantom", id="read, deleted"
        ),
        pytest.param([PUT, DELETE, op("put", 26, 28, value="w")], [], "missing", id="written again"),
        pytest.param([PUT], ["a", "a"], "twice", id="twice"),
        pytest.param([PUT], ["b", "a"], "order", id="order"),
    ],
)
def test_what_may_not_be_listed(operations: list[Operation], names: list[str], mistake: str) -> None:
    assert any(mistake in said for said in check([*operations, listing(30, 40, *names)]).mistakes)


def test_it_is_counted_of_how_much_something_could_be_said() -> None:
    assert check([PUT, listing(10, 15, "a"), listing(30, 40, "a")]).decided == 2
    assert check([PUT, op("delete", 6, None), listing(30, 40, "a")]).decided == 0
