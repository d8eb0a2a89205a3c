"""Layouts that a builder makes: balance, dispersion, movement, determinism."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from store.core.errors import InvalidError, NotFoundError
from store.ring import LAYOUT_CODEC, ROWS, Builder, Layout, default_part_power, grow, plan, report
from store.ring.device import DEVICE_ID_MAX
from store.ring.shares import fair_shares, share_tree
from tests.ring.rings import Place, active, builder_of, even, held, moves, places, replicas

quick = settings(max_examples=60, deadline=None, derandomize=True)


def check_sound(layout: Layout) -> None:
    """Whatever else holds or not."""
    for width in layout.tables:
        for partition in replicas(layout, width):
            assert len(set(partition)) == len(partition)
            assert all(replica in layout.devices for replica in partition)
    assert layout.row_width == min(3, len(active(layout)))


@quick
@given(places, st.integers(0, 3))
def test_a_first_layout_is_exact(found: list[Place], overload: int) -> None:
    """Every device holds what its share says to the copy, and no domain more of a partition than its share rounded
    up."""
    builder = builder_of(found)
    builder.set_overload(overload / 10)
    layout = builder.rebalance(1)
    check_sound(layout)
    tree = share_tree(active(layout), layout.row_width, overload / 10, layout.partitions, {})
    counts = held(layout, ROWS)
    nodes = [tree]
    for node in nodes:
        for domain, child in node.children.items():
            nodes.append(child)
            if not child.children:
                assert counts[int(domain[-1])] == child.copies
            for partition in replicas(layout, ROWS):
                inside = sum(domain in layout.devices[replica].domains for replica in partition)
                assert child.copies // layout.partitions <= inside or overload
                assert inside <= -(-child.copies // layout.partitions)


@quick
@given(places)
def test_weights_alone_decide_without_overload(found: list[Place]) -> None:
    builder = builder_of(found)
    builder.set_overload(0)
    layout = builder.rebalance(1)
    fair = fair_shares(active(layout), layout.row_width)
    domains = 4  # one rounding for each tier
    for device, copies in held(layout, ROWS).items():
        assert abs(copies - fair[device] * layout.partitions) <= domains


@quick
@given(places)
def test_dispersion_alone_decides_with_boundless_overload(found: list[Place]) -> None:
    builder = builder_of(found)
    builder.set_overload(1000)
    assert report(builder.rebalance(1), ROWS).dispersion == 0


@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (1, 1, 4, 2), (1, 3, 2, 2), (2, 2, 2, 1), (3, 1, 1, 1), (1, 4, 4, 1)])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_equal_devices_hold_equal_and_far_apart(shape: tuple[int, int, int, int], width: int) -> None:
    layout = builder_of(even(*shape), widths=[width], part_power=8).rebalance(1)
    found = report(layout, width)
    counts = held(layout, width).values()
    assert max(counts) - min(counts) <= 1
    assert found.dispersion == 0


def test_first_replicas_and_neighbours_are_mixed() -> None:
    layout = builder_of(even(1, 3, 2, 2), part_power=10).rebalance(1)
    first = Counter(partition[0] for partition in replicas(layout, ROWS))
    assert len(first) == 12
    assert max(first.values()) < 2 * min(first.values())
    peers = {replica for partition in replicas(layout, ROWS) if 0 in partition for replica in partition}
    # All devices but the three of its own zone.
    assert len(peers) == 9


@quick
@given(places, st.integers(0, 2**32))
def test_the_same_seed_makes_the_same_layout(found: list[Place], seed: int) -> None:
    first = builder_of(found).rebalance(seed)
    assert LAYOUT_CODEC.encode(first) == LAYOUT_CODEC.encode(builder_of(found).rebalance(seed))

    def second() -> Layout:
        builder = Builder(first)
        builder.add(1, 1, "new", 1.0, "disk")
        return builder.rebalance(seed)

    assert LAYOUT_CODEC.encode(second()) == LAYOUT_CODEC.encode(second())


@quick
@given(places)
def test_without_a_change_nothing_moves(found: list[Place]) -> None:
    first = builder_of(found).rebalance(1)
    second = Builder(first).rebalance(2)
    assert second.version == 2
    assert not plan(first, second).flows


@quick
@given(places, st.data())
def test_any_changes_keep_a_layout_sound_and_move_one_copy_a_partition(found: list[Place], data: st.DataObject) -> None:
    layout = builder_of(found, widths=[2] if len(found) > 1 else []).rebalance(1)
    for seed in range(3):
        builder = Builder(layout)
        gone = data.draw(st.sets(st.sampled_from(sorted(layout.devices)), max_size=2))
        for device in gone:
            builder.remove(device)
        for device in data.draw(st.sets(st.sampled_from(sorted(layout.devices)), max_size=2)) - gone:
            builder.set_weight(device, data.draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])))
        for region, zone, machine, weight in data.draw(places)[:3]:
            builder.add(region, zone, machine, weight, "disk")
        try:
            after = builder.rebalance(seed)
        except InvalidError:
            assume(False)
        check_sound(after)
        for width in layout.tables:
            wider = len(after.tables[width]) - len(layout.tables[width])
            for old, moved in zip(replicas(layout, width), moves(layout, after, width), strict=True):
                assert moved <= max(1, len(gone & set(old)) + max(0, wider))
        layout = after


@quick
@given(st.integers(3, 12), st.integers(1, 3), st.integers(0, 1000))
def test_adding_moves_hardly_more_than_it_must(machines: int, disks: int, seed: int) -> None:
    before = builder_of(even(1, 1, machines, disks), part_power=8).rebalance(seed)
    builder = Builder(before)
    new = builder.add(0, 0, "new", 1.0, "disk")
    after = builder.rebalance(seed)
    must = held(after, ROWS)[new.id]
    assert must == pytest.approx(3 * 256 / (machines * disks + 1), rel=0.02, abs=2)
    assert sum(moves(before, after, ROWS)) <= must + len(after.devices)
    assert report(after, ROWS).dispersion == 0


@quick
@given(st.integers(4, 12), st.integers(1, 3), st.booleans(), st.integers(0, 1000))
def test_losing_a_device_moves_hardly_more_than_it_held(machines: int, disks: int, drain: bool, seed: int) -> None:
    before = builder_of(even(1, 1, machines, disks), part_power=8).rebalance(seed)
    builder = Builder(before)
    if drain:
        builder.set_weight(1, 0)
    else:
        builder.remove(1)
    after = builder.rebalance(seed)
    counts = held(after, ROWS)
    assert counts.pop(1, 0) == 0
    assert max(counts.values()) - min(counts.values()) <= 4
    assert sum(moves(before, after, ROWS)) <= 1.25 * held(before, ROWS)[1] + len(after.devices)
    assert report(after, ROWS).dispersion == 0


@quick
@given(st.sampled_from([0.5, 0.9, 1.1, 1.5, 2.0]), st.integers(0, 1000))
def test_reweighting_moves_the_difference(weight: float, seed: int) -> None:
    before = builder_of(even(1, 4, 2, 2), part_power=8).rebalance(seed)
    builder = Builder(before)
    builder.set_weight(5, weight)
    after = builder.rebalance(seed)
    difference = abs(held(after, ROWS)[5] - held(before, ROWS)[5])
    assert report(after, ROWS).loads[5].percent_off == pytest.approx(0, abs=5)
    assert sum(moves(before, after, ROWS)) <= 1.5 * difference + len(after.devices)


@quick
@given(places, st.data())
def test_repeated_rebalances_reach_balance(found: list[Place], data: st.DataObject) -> None:
    assume(len(found) >= 4)
    builder = Builder(builder_of(found).rebalance(1))
    builder.set_weight(data.draw(st.integers(0, len(found) - 1)), data.draw(st.sampled_from([0.0, 0.5, 2.0])))
    builder.add(1, 1, "new", 2.0, "disk")
    layout = builder.rebalance(1)
    for seed in range(6):
        layout = Builder(layout).rebalance(seed)
    tree = share_tree(active(layout), layout.row_width, layout.overload, layout.partitions, held(layout, ROWS))
    nodes, targets = [tree], {}
    for node in nodes:
        nodes += node.children.values()
        targets.update({domain[-1]: child.copies for domain, child in node.children.items() if not child.children})
    for device, copies in held(layout, ROWS).items():
        assert abs(copies - targets.get(device, 0)) <= 3


def test_copies_too_close_together_are_parted() -> None:
    """Three disks of one machine, then two more machines: a copy of every partition moves at each rebalance."""
    layout = builder_of([(1, 1, "a", 1.0)] * 3, part_power=8).rebalance(1)
    builder = Builder(layout)
    for machine in "bc":
        for _ in range(3):
            builder.add(1, 1, machine, 1.0, "disk")
    layout = builder.rebalance(1)
    assert report(layout, ROWS).crowded["machine"] == 100
    layout = Builder(layout).rebalance(2)
    assert report(layout, ROWS).dispersion < 2
    layout = Builder(layout).rebalance(3)
    assert report(layout, ROWS).dispersion == 0
    assert report(layout, ROWS).balance < 2


def test_copies_too_close_together_move_before_one_on_a_device_that_is_too_full() -> None:
    """Of each partition only one copy moves: two are on one machine, the third is on a device that is to lose more."""
    layout = builder_of([(1, 1, "a", 1.0), (1, 1, "b", 1.0), (1, 1, "b", 1.0)], part_power=8).rebalance(1)
    builder = Builder(layout)
    for device, weight in enumerate((0.1, 0.5, 0.5)):
        builder.set_weight(device, weight)
    builder.add(1, 1, "c", 1.0, "disk")
    builder.add(1, 1, "d", 0.9, "disk")
    assert report(builder.rebalance(1), ROWS).crowded["machine"] == 0


def test_overload_trades_weight_for_dispersion() -> None:
    """Two zones, one with a fifth of the weight, two copies."""
    crowded = []
    for overload in (0.0, 0.5, 2.0):
        builder = builder_of([(1, 1, "a", 4.0), (1, 1, "b", 4.0), (1, 2, "c", 2.0)], widths=[2], part_power=10)
        builder.set_overload(overload)
        found = report(builder.rebalance(1), 2)
        crowded.append(found.crowded["zone"])
        assert found.loads[2].percent_off <= 100 * overload + 0.5
    assert crowded == pytest.approx([60, 40, 0], abs=0.2)


def test_rows_have_as_many_replicas_as_devices_up_to_three() -> None:
    builder = builder_of([(1, 1, "a", 1.0)])
    layout = builder.rebalance(1)
    widths = [layout.row_width]
    for machine in "bcd":
        before, builder = layout, Builder(layout)
        builder.add(1, 1, machine, 1.0, "disk")
        layout = builder.rebalance(1)
        widths.append(layout.row_width)
        if before.row_width < layout.row_width:
            pairs = zip(replicas(before, ROWS), replicas(layout, ROWS), strict=True)
            assert all(set(old) < set(new) for old, new in pairs)
    assert widths == [1, 2, 3, 3]
    builder = Builder(layout)
    builder.set_weight(0, 0)
    builder.remove(3)
    layout = builder.rebalance(1)
    assert layout.row_width == 2
    assert held(layout, ROWS)[0] == 0


@quick
@given(places)
def test_growing_moves_nothing(found: list[Place]) -> None:
    before = builder_of(found, widths=[1]).rebalance(1)
    after = grow(before)
    assert (after.version, after.part_power) == (2, before.part_power + 1)
    for ring_hash in range(0, 2**32, 2**32 // 512 - 7):
        for width in before.tables:
            assert after.replicas(width, ring_hash) == before.replicas(width, ring_hash)
    assert not plan(before, after).flows
    check_sound(Builder(after).rebalance(1))


def test_ids_are_never_used_again() -> None:
    builder = builder_of(even(1, 1, 4, 1))
    builder.remove(3)
    layout = builder.rebalance(1)
    assert layout.next_device == 4
    assert Builder(layout).add(1, 1, "new", 1.0, "disk").id == 4
    assert Builder(LAYOUT_CODEC.decode(LAYOUT_CODEC.encode(layout))).add(1, 1, "new", 1.0, "disk").id == 4


def test_refusals() -> None:
    with pytest.raises(InvalidError, match="at least one device"):
        Builder().rebalance(1)
    with pytest.raises(InvalidError, match="4 copies need 4 devices"):
        builder_of(even(1, 1, 3, 1), widths=[4]).rebalance(1)
    builder = builder_of(even(1, 1, 4, 1), widths=[4])
    builder.set_weight(0, 0)
    with pytest.raises(InvalidError, match="4 copies need 4 devices"):
        builder.rebalance(1)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidError):
            builder.set_weight(1, weight)
        with pytest.raises(InvalidError):
            builder.set_overload(weight)
        with pytest.raises(InvalidError):
            builder.add(1, 1, "a", weight, "disk")
    for device_call in (builder.remove, lambda device: builder.set_weight(device, 1)):
        with pytest.raises(NotFoundError):
            device_call(77)
    with pytest.raises(InvalidError):
        builder.add_width(0)
    with pytest.raises(NotFoundError):
        builder.drop_width(3)
    with pytest.raises(InvalidError):
        Builder(part_power=21)
    layout = builder_of(even(1, 1, 1, 1)).rebalance(1)
    with pytest.raises(InvalidError):
        Builder(layout, part_power=8)
    with pytest.raises(InvalidError):
        grow(Layout(1, 20, 0.1, 1, layout.devices, {ROWS: (array("H", bytes(2 << 20)),)}))
    last = Builder(replace(layout, next_device=DEVICE_ID_MAX + 1))
    with pytest.raises(InvalidError):
        last.add(1, 1, "a", 1.0, "disk")


def test_dropped_widths_are_gone() -> None:
    builder = Builder(builder_of(even(1, 1, 4, 1), widths=[2, 4]).rebalance(1))
    builder.drop_width(4)
    assert builder.rebalance(1).widths == (2,)


@pytest.mark.parametrize(("devices", "power"), [(1, 10), (8, 10), (9, 11), (256, 15), (512, 16), (10_000, 16)])
def test_default_part_power(devices: int, power: int) -> None:
    assert default_part_power(devices) == power


def test_a_large_ring_is_quick() -> None:
    """65,536 partitions, 256 devices: well under the bound on an idle machine; the bound leaves room for a busy one."""
    began = time.perf_counter()
    layout = builder_of(even(1, 4, 16, 4), part_power=16).rebalance(1)
    builder = Builder(layout)
    builder.add(0, 1, "new", 1.0, "disk")
    after = builder.rebalance(1)
    assert time.perf_counter() - began < 10
    assert report(after, ROWS).balance < 1
    assert plan(layout, after).percent == pytest.approx(100 / 257, rel=0.1)
