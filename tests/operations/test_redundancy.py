"""How much is one loss from gone, by the ring alone."""

from __future__ import annotations

from drystone.redundancy import Redundancy, redundancy
from store.objects.model import Policy
from store.ring import Builder, Ring

POLICIES = (
    Policy(0, "two", replicas=2, default=True),
    Policy(1, "code", k=2, m=2, codec="zfec"),
    Policy(2, "one", replicas=1),
)


def ring_of(devices: int) -> Ring:
    builder = Builder(None)
    for number in range(devices):
        builder.add(1, 1, f"m{number}", 1.0, f"d{number}")
    for policy in POLICIES:
        if policy.width > devices:
            continue
        builder.add_width(policy.width)
    return Ring(bytes(16), (builder.rebalance(1),))


def of(ring: Ring, *away: int) -> dict[str, Redundancy]:
    return {each.what: each for each in redundancy(ring, POLICIES, set(ring.devices) - set(away))}


def test_all_is_there() -> None:
    found = of(ring_of(4))
    assert found["names"] == Redundancy("names", 3, 1, whole=1, short=0, last=0, away=0, refused=0)
    assert found["code"] == Redundancy("code", 4, 2, whole=1, short=0, last=0, away=0, refused=0)
    # A policy of one copy is one loss from gone at all times.
    assert found["one"] == Redundancy("one", 1, 1, whole=0, short=0, last=1, away=0, refused=0)


def test_one_away_of_four() -> None:
    ring = ring_of(4)
    found = of(ring, 2)
    having = sum(2 in replicas for replicas in zip(*ring.newest.tables[2], strict=True)) / ring.newest.partitions
    assert (found["two"].whole, found["two"].last, found["two"].refused) == (1 - having, having, 0)
    assert (found["code"].short, found["code"].last) == (1, 0)
    assert found["names"].refused == 0
    assert found["names"].short + found["names"].whole == 1
    assert found["one"].away == found["one"].refused > 0.2


def test_names_are_refused_without_a_quorum_though_they_are_not_gone() -> None:
    found = of(ring_of(3), 0, 1)
    assert (found["names"].last, found["names"].away, found["names"].refused) == (1, 0, 1)


def test_of_two_layouts_the_worse_counts_for_data_and_the_one_that_is_read_for_names() -> None:
    before = ring_of(3)
    builder = Builder(before.newest)
    for number in range(3, 6):
        builder.add(1, 1, f"m{number}", 1.0, f"d{number}")
    ring = before.publish(builder.rebalance(2))
    assert ring.newest.part_power == before.newest.part_power
    old, new = (list(zip(*layout.tables[2], strict=True)) for layout in ring.live)
    lost = sum(0 in one or 0 in other for one, other in zip(old, new, strict=True)) / ring.newest.partitions
    assert of(ring, 0)["two"].last == lost
    assert of(ring, 4)["names"].whole == 1  # it is filled yet: nobody asks it
    assert of(ring, 4)["two"].last > 0
