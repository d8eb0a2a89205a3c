"""What a plan and a report tell."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings

from store.ring import ROWS, Builder, Device, Flow, Layout, plan, report
from tests.ring.rings import Place, builder_of, even, moves, places


def layout(
    version: int, tables: dict[int, list[list[int]]], devices: int = 4, weights: dict[int, float] | None = None
) -> Layout:
    found = {id_: Device(id_, 1, id_ % 2, f"m{id_}", (weights or {}).get(id_, 1.0), "disk") for id_ in range(devices)}
    return Layout(
        version, 1, 0.1, 9, found, {width: tuple(array("H", row) for row in rows) for width, rows in tables.items()}
    )


def test_a_plan_counts_flows_between_devices() -> None:
    before = layout(1, {ROWS: [[0, 1], [1, 2], [2, 3]], 2: [[0, 0], [1, 1]]})
    after = layout(2, {ROWS: [[0, 1], [3, 2], [2, 3]], 2: [[1, 1], [2, 2]], 3: [[0, 0], [1, 1], [2, 2]]})
    found = plan(before, after)
    # In table 2 device 1 only moved to another index of its partition, and that is no flow.
    assert found.flows == (Flow(2, 0, 2, 2), Flow(ROWS, 1, 3, 1))
    assert (found.before, found.after, found.copies, found.moved) == (1, 2, 10, 3)
    assert found.percent == pytest.approx(30)
    assert found.quorums_lost == {}


def test_a_plan_tells_of_lost_quorums() -> None:
    before = builder_of(even(1, 1, 4, 1)).rebalance(1)
    builder = Builder(before)
    builder.remove(0)
    assert plan(before, builder.rebalance(1)).quorums_lost == {}
    builder.remove(1)
    # Both were among the three replicas of half of all partitions.
    assert plan(before, builder.rebalance(1)).quorums_lost == {ROWS: before.partitions // 2}


def test_a_wider_row_table_comes_from_nowhere() -> None:
    before = builder_of(even(1, 1, 1, 1)).rebalance(1)
    builder = Builder(before)
    builder.add(1, 1, "b", 1.0, "disk")
    found = plan(before, builder.rebalance(1))
    assert found.flows == (Flow(ROWS, None, 1, before.partitions),)
    assert found.percent == 50


@settings(max_examples=40, deadline=None, derandomize=True)
@given(places)
def test_a_plan_agrees_with_the_tables(found: list[Place]) -> None:
    before = builder_of(found).rebalance(1)
    builder = Builder(before)
    builder.add(1, 1, "new", 3.0, "disk")
    after = builder.rebalance(1)
    assert plan(before, after).moved == sum(moves(before, after, ROWS))


def test_a_report_tells_balance_and_crowds() -> None:
    found = report(layout(1, {ROWS: [[0, 0], [1, 2], [3, 3]]}), ROWS)
    assert [(load.copies, load.fair) for load in found.loads] == [(2, 1.5), (1, 1.5), (1, 1.5), (2, 1.5)]
    assert found.balance == pytest.approx(100 / 3)
    # Two zones of two: three copies put two into one of them, which is no crowd.
    assert found.crowded == {"region": 0, "zone": 0, "machine": 0}
    crowded = report(layout(1, {ROWS: [[0, 0], [1, 1], [3, 3]], 2: [[0, 0], [2, 1]]}), 2)
    assert crowded.crowded == {"region": 0, "zone": 50, "machine": 0}
    assert crowded.dispersion == 50


def test_a_device_being_emptied_is_reported_apart() -> None:
    found = report(layout(1, {ROWS: [[0, 0], [1, 2], [3, 3]]}, weights={1: 0.0}), ROWS)
    assert found.loads[1].percent_off == float("inf")
    # Device 2 has half of its share; device 1 does not count.
    assert found.balance == pytest.approx(50)
