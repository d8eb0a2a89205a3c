"""Which of the other nodes is asked first."""

from __future__ import annotations

import pytest

from drystone.node_identity import NodeIdentity
from drystone.node_records import NodeRecord, State
from drystone.peers import by_distance


def record(region: int, zone: int) -> NodeRecord:
    return NodeRecord("10.0.0.1:7400", region, zone, "m", State.MEMBER, "1", 0)


def identity(name: str, region: int, zone: int) -> NodeIdentity:
    return NodeIdentity(name, "10.0.0.9:7400", region, zone, "m", "n1", "10.0.0.1:7400")


def test_the_own_zone_comes_first_then_the_own_region() -> None:
    nodes = {"a": record(2, 1), "b": record(1, 2), "c": record(1, 1)}
    assert by_distance(identity("n", 1, 1), nodes) == ["c", "b", "a"]


@pytest.mark.parametrize(("name", "first"), [("n1", "n2"), ("n2", "n3"), ("n3", "n1")])
def test_each_node_begins_with_the_next(name: str, first: str) -> None:
    nodes = {each: record(1, 1) for each in ("n1", "n2", "n3") if each != name}
    assert by_distance(identity(name, 1, 1), nodes)[0] == first
