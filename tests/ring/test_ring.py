"""The ring while layouts change: sets, steps, handoffs; and that no acknowledged write is missed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.core.errors import ConflictError, InvalidError
from store.ring import ROWS, Builder, Layout, Ring, grow, quorum
from store.ring.ring import LIVE_LAYOUTS_MAX
from tests.ring.rings import KEY, Place, active, builder_of, even, places

RING_HASHES = range(0, 2**32, 2**32 // 64)


def next_layout(layout: Layout, *, remove: int | None = None, add: bool = True) -> Layout:
    builder = Builder(layout)
    if add:
        builder.add(1, 1, f"new{layout.version}", 2.0, "disk")
    if remove is not None:
        builder.remove(remove)
    return builder.rebalance(layout.version)


def synced(ring: Ring, version: int) -> Ring:
    for device in sorted(ring.unsynced(version)):
        ring = ring.mark_synced(version, device)
    return ring


def enforced(ring: Ring) -> Ring:
    for device in sorted(ring.unenforced()):
        ring = ring.mark_enforced(device, ring.epoch)
    return ring


def test_one_layout() -> None:
    layout = builder_of(even(1, 1, 4, 1), widths=[2]).rebalance(1)
    ring = Ring(KEY, (layout,))
    assert (ring.epoch, ring.row_width, ring.newest, ring.reading) == (1, 3, layout, layout)
    for ring_hash in RING_HASHES:
        for width in (ROWS, 2):
            replicas = layout.replicas(width, ring_hash)
            assert ring.read_set(width, ring_hash) == replicas == ring.replicas_all(width, ring_hash)
            assert ring.write_sets(width, ring_hash) == (replicas,)
    assert ring.unsynced(1) == frozenset() == ring.unenforced()


def test_the_steps_of_a_change() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    second = next_layout(first)
    ring = Ring(KEY, (first,)).publish(second)
    assert ring.epoch == 2
    assert ring.reading == first
    assert ring.unsynced(2) == frozenset(range(5))
    for ring_hash in RING_HASHES:
        both = (first.replicas(ROWS, ring_hash), second.replicas(ROWS, ring_hash))
        assert ring.write_sets(ROWS, ring_hash) == (both if both[0] != both[1] else both[:1])
        assert ring.read_set(ROWS, ring_hash) == both[0]
        assert set(ring.replicas_all(ROWS, ring_hash)) == {*both[0], *both[1]}

    for device in range(4):
        ring = ring.mark_synced(2, device)
    assert (ring.epoch, ring.reading, ring.unsynced(2)) == (2, first, frozenset({4}))
    ring = ring.mark_synced(2, 4)
    assert (ring.epoch, ring.reading, ring.live) == (3, second, (first, second))
    assert ring.unenforced() == frozenset(range(4))

    ring = ring.mark_enforced(0, 2)
    for device in range(3):
        ring = ring.mark_enforced(device, 3)
    assert (ring.epoch, len(ring.live), ring.unenforced()) == (3, 2, frozenset({3}))
    ring = ring.mark_enforced(3, 3)
    assert (ring.epoch, ring.live, ring.reading) == (4, (second,), second)
    assert ring.progress.synced == {}


def test_whose_word_counts() -> None:
    """Of a layout that is yet to be read by, only the devices that have synced."""
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    second = next_layout(first)
    ring = Ring(KEY, (first,)).publish(second)
    for ring_hash in RING_HASHES:
        assert ring.in_sync(ROWS, ring_hash) == first.replicas(ROWS, ring_hash)
    third = next_layout(second)
    ring = ring.mark_synced(2, 4).publish(third)
    for ring_hash in RING_HASHES:
        replicas = {
            *first.replicas(ROWS, ring_hash),
            *(replica for replica in second.replicas(ROWS, ring_hash) if replica == 4),
        }
        assert set(ring.in_sync(ROWS, ring_hash)) == replicas
    ring = synced(ring, 3)
    assert ring.reading == third
    for ring_hash in RING_HASHES:  # the second layout was never read by
        replicas = {*first.replicas(ROWS, ring_hash), *third.replicas(ROWS, ring_hash)}
        assert set(ring.in_sync(ROWS, ring_hash)) == replicas | {
            replica for replica in second.replicas(ROWS, ring_hash) if replica == 4
        }


def test_who_lost_partitions_is_to_clean_up() -> None:
    first = builder_of(even(1, 1, 5, 1)).rebalance(1)
    second = next_layout(first, remove=0)
    ring = Ring(KEY, (first,)).publish(second)
    assert not synced(ring, 2).unclean
    ring = enforced(synced(ring, 2))
    assert ring.unclean == {1, 2, 3, 4}  # the device that left is nobody's worry
    assert ring.mark_clean(99) is ring
    ring = ring.mark_clean(1).mark_clean(3)
    ring = enforced(synced(ring.publish(next_layout(second, remove=2)), 3))
    assert ring.unclean == {1, 3, 4, 5}
    for device in (1, 3, 4, 5):
        ring = ring.mark_clean(device)
    assert not ring.unclean


def test_a_ring_is_behind_those_that_came_of_it() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    second = next_layout(first, remove=0)
    rings = [Ring(KEY, (first,)).publish(second)]
    while rings[-1].unsynced(2):
        rings.append(rings[-1].mark_synced(2, min(rings[-1].unsynced(2))))
    while rings[-1].unenforced():
        rings.append(rings[-1].mark_enforced(min(rings[-1].unenforced()), rings[-1].epoch))
    while rings[-1].unclean:
        rings.append(rings[-1].mark_clean(min(rings[-1].unclean)))
    rings += [rings[-1].collect(), rings[-1].collect().publish(next_layout(second))]
    assert len(rings) > 10
    for number, ring in enumerate(rings):
        assert [ring.is_behind(other) for other in rings] == [later > number for later in range(len(rings))]


def test_what_was_said_before_changes_nothing() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    ring = Ring(KEY, (first,))
    assert ring.mark_synced(1, 0) is ring
    ring = ring.publish(next_layout(first))
    assert ring.mark_synced(3, 0) is ring
    assert ring.mark_synced(2, 99) is ring
    assert ring.mark_enforced(99, 1) is ring
    ring = ring.mark_enforced(0, 2)
    assert ring.mark_enforced(0, 2) is ring
    assert ring.mark_enforced(0, 1) is ring
    done = enforced(synced(ring, 2))
    assert done.mark_synced(2, 0) is done


def test_a_device_that_dies_in_a_change_does_not_hold_up_the_next() -> None:
    first = builder_of(even(1, 1, 5, 1)).rebalance(1)
    second = next_layout(first)
    ring = Ring(KEY, (first,)).publish(second)
    for device in ring.unsynced(2) - {0}:
        ring = ring.mark_synced(2, device)
    ring = ring.publish(next_layout(second, remove=0, add=False))
    assert [layout.version for layout in ring.live] == [1, 2, 3]
    ring = enforced(synced(ring, 3))
    assert [layout.version for layout in ring.live] == [3]


def test_the_last_write_set_is_the_newest_layouts() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    back = replace(first, version=3)
    ring = Ring(KEY, (first, next_layout(first), back))
    for ring_hash in RING_HASHES:
        assert ring.write_sets(ROWS, ring_hash)[-1] == back.replicas(ROWS, ring_hash)
    assert max(len(ring.write_sets(ROWS, ring_hash)) for ring_hash in RING_HASHES) == 2


def test_refusals() -> None:
    layout = builder_of(even(1, 1, 4, 1)).rebalance(1)
    ring = Ring(KEY, (layout,))
    with pytest.raises(InvalidError):
        ring.read_set(4, 0)
    with pytest.raises(InvalidError):
        ring.write_sets(4, 0)
    with pytest.raises(InvalidError):
        ring.publish(layout)
    with pytest.raises(InvalidError):
        ring.mark_enforced(0, 2)
    for live in ((), (next_layout(layout), layout)):
        with pytest.raises(ValueError):
            Ring(KEY, live)
    for _ in range(LIVE_LAYOUTS_MAX - 1):
        ring = ring.publish(next_layout(ring.newest))
    with pytest.raises(ConflictError):
        ring.publish(next_layout(ring.newest))


def test_a_new_width_is_read_where_it_first_is() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    builder = Builder(first)
    builder.add_width(4)
    second = builder.rebalance(1)
    ring = Ring(KEY, (first,)).publish(second)
    ring = ring.publish(next_layout(second))
    assert ring.reading == first
    for ring_hash in RING_HASHES:
        assert ring.read_set(4, ring_hash) == second.replicas(4, ring_hash)
        assert ring.write_sets(4, ring_hash)[0] == second.replicas(4, ring_hash)
        assert ring.read_set(ROWS, ring_hash) == first.replicas(ROWS, ring_hash)


def test_layouts_of_different_part_power_live_together() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    second = grow(first)
    ring = Ring(KEY, (first,)).publish(second).publish(next_layout(second))
    for ring_hash in range(0, 2**32, 2**32 // 200):
        assert ring.read_set(ROWS, ring_hash) == first.replicas(ROWS, ring_hash)
        assert (
            ring.write_sets(ROWS, ring_hash)
            == tuple(dict.fromkeys(layout.replicas(ROWS, ring_hash) for layout in reversed(ring.live)))[::-1]
        )
    assert len(ring.write_sets(ROWS, 0)) <= 2


def test_rows_grow_from_one_device_to_three() -> None:
    layout = builder_of([(1, 1, "a", 1.0)]).rebalance(1)
    ring = Ring(KEY, (layout,))
    builder = Builder(layout)
    for machine in "bc":
        builder.add(1, 1, machine, 1.0, "disk")
    ring = ring.publish(builder.rebalance(1))
    assert ring.write_sets(ROWS, 0)[0] == (0,)
    assert len(ring.write_sets(ROWS, 0)[1]) == 3
    ring = enforced(synced(ring, 2))
    assert sorted(ring.read_set(ROWS, 0)) == [0, 1, 2]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(places, st.integers(0, 2**32 - 1))
def test_handoffs_are_all_others_spread_out(found: list[Place], ring_hash: int) -> None:
    layout = builder_of(found).rebalance(1)
    ring = Ring(KEY, (layout,))
    handoffs = list(ring.handoffs(ROWS, ring_hash))
    assert handoffs == list(Ring(KEY, (layout,)).handoffs(ROWS, ring_hash))
    assert sorted([*handoffs, *ring.replicas_all(ROWS, ring_hash)]) == sorted(device.id for device in active(layout))
    # The first is in a region of the fewest replicas, if it has a device to spare.
    if handoffs:
        replicas = [layout.devices[replica].region for replica in ring.replicas_all(ROWS, ring_hash)]
        fewest = min(replicas.count(layout.devices[device].region) for device in handoffs)
        assert replicas.count(layout.devices[handoffs[0]].region) == fewest


def test_handoffs_of_different_partitions_differ() -> None:
    ring = Ring(KEY, (builder_of(even(1, 1, 8, 2)).rebalance(1),))
    assert len({next(ring.handoffs(ROWS, ring_hash)) for ring_hash in RING_HASHES}) > 8


# 200 examples find each of: no wait for syncs, no wait for enforcement, writes to the newest layout alone.
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_no_acknowledged_write_is_missed_by_a_reader_that_is_answered(data: st.DataObject) -> None:
    """One partition as it lives through changes. Writers, readers and devices each hold a ring of their own age.

    A device answers only requests of its enforced epoch or above. A write counts with a quorum in each of its writer's
    sets, a read with a quorum of its reader's set: then it has to find the last counted write (they are numbered).
    """
    layout = builder_of(even(1, 2, 3, 1), part_power=0).rebalance(1)
    ages = [Ring(KEY, (layout,))]
    stored: dict[int, int] = {}
    enforces: dict[int, int] = {}
    counted = 0
    number = 0

    def answering(replicas: tuple[int, ...], ring: Ring) -> list[int]:
        willing = [replica for replica in replicas if enforces.get(replica, 0) <= ring.epoch]
        return data.draw(st.permutations(willing))[: quorum(len(replicas))]

    def learn(device: int, ring: Ring) -> None:
        enforces[device] = max(enforces.get(device, 0), ring.epoch)

    for _ in range(data.draw(st.integers(5, 40))):
        newest = ages[-1]
        ring = data.draw(st.sampled_from(ages[-4:]))
        match data.draw(st.sampled_from(["write", "write", "read", "publish", "sync", "sync", "enforce", "enforce"])):
            case "write":
                number += 1
                sets = ring.write_sets(ROWS, 0)
                reached = {replica for replicas in sets for replica in answering(replicas, ring)}
                if data.draw(st.booleans()):
                    reached = {replica for replica in sorted(reached) if data.draw(st.booleans())}
                for replica in reached:
                    stored[replica] = number
                if all(len(reached & set(replicas)) >= quorum(len(replicas)) for replicas in sets):
                    counted = number
            case "read":
                replicas = ring.read_set(ROWS, 0)
                answers = answering(replicas, ring)
                if len(answers) >= quorum(len(replicas)):
                    assert max(stored.get(replica, 0) for replica in answers) >= counted
            case "publish" if len(newest.live) < 3:
                builder = Builder(newest.newest)
                if len(active(newest.newest)) > 4 and data.draw(st.booleans()):
                    builder.set_weight(data.draw(st.sampled_from([device.id for device in active(newest.newest)])), 0)
                else:
                    builder.add(1, data.draw(st.integers(1, 3)), f"n{len(ages)}", 1.0, "disk")
                ages.append(newest.publish(builder.rebalance(len(ages))))
            case "sync" if newest.unsynced(newest.newest.version):
                device = data.draw(st.sampled_from(sorted(newest.unsynced(newest.newest.version))))
                sources = newest.read_set(ROWS, 0)
                # It asks a quorum that enforces the epoch by which the layout was published.
                for source in sources:
                    learn(source, newest)
                learn(device, newest)
                if device in newest.newest.replicas(ROWS, 0):
                    found = max(stored.get(source, 0) for source in answering(sources, newest))
                    stored[device] = max(stored.get(device, 0), found)
                ages.append(newest.mark_synced(newest.newest.version, device))
            case "enforce" if newest.unenforced():
                device = data.draw(st.sampled_from(sorted(newest.unenforced())))
                learn(device, newest)
                ages.append(newest.mark_enforced(device, newest.epoch))


def test_quorums_meet() -> None:
    for copies in range(1, 8):
        for first in combinations(range(copies), quorum(copies)):
            for second in combinations(range(copies), quorum(copies)):
                assert set(first) & set(second)
        assert quorum(copies) == min(size for size in range(1, copies + 1) if 2 * size > copies)


def test_a_step_that_collects_tombstones_moves_nothing() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    ring = Ring(KEY, (first,))
    assert ring.collected == 0
    changing = ring.publish(next_layout(first))
    for before in (ring, changing, synced(changing, 2)):
        after = before.collect()
        assert (after.epoch, after.collected) == (before.epoch + 1, before.epoch + 1)
        assert after.places_as(before)
        assert [after.replicas_all(ROWS, each) for each in RING_HASHES] == [
            before.replicas_all(ROWS, each) for each in RING_HASHES
        ]
        assert (after.unsynced(2), after.unenforced(), after.unclean) == (
            before.unsynced(2),
            before.unenforced(),
            before.unclean,
        )
    assert not changing.places_as(ring)
    assert not changing.collect().places_as(ring)
    assert not synced(changing, 2).places_as(changing)
    assert not enforced(synced(changing, 2)).places_as(synced(changing, 2))


def test_a_layout_change_keeps_the_epoch_by_which_tombstones_were_collected() -> None:
    first = builder_of(even(1, 1, 4, 1)).rebalance(1)
    ring = Ring(KEY, (first,)).collect()
    changed = enforced(synced(ring.publish(next_layout(first)), 2))
    assert changed.collected == ring.epoch == 2
    assert changed.epoch > ring.epoch
