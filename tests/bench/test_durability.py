"""The formula against values worked out by hand, what must be lost against small tables, and the simulation against
the formula where both describe the same thing."""

from __future__ import annotations

from array import array
from dataclasses import replace

import numpy as np
import pytest

from bench.durability.assumptions import HOURS_PER_YEAR, POLICIES, Assumptions, Policy, Shape
from bench.durability.copysets import copies_of, fatal_sets, least_domains
from bench.durability.formula import latent_density, loss_rate, mean_time_to_loss, object_loss_rate, probability
from bench.durability.simulation import Losses, Simulation, _Cluster
from store.ring import Layout

ZONES = Shape("3 zones of 4 devices", 3, 1, 4)
COPIES_3 = POLICIES[2]
AT_ONCE = Assumptions(
    machine_rate=0, zone_rate=0, outage_rate=0, latent_rate=0, repair_bytes_per_hour=1e30, react_hours=24
)
"""Single devices fail, and after a day all is rebuilt at once: what the formula describes."""


@pytest.fixture(scope="module")
def layout() -> Layout:
    """Of few partitions, which is what a cycle costs."""
    return ZONES.layout(part_power=7)


def test_one_copy_is_lost_when_it_fails() -> None:
    assert mean_time_to_loss(1, 0, 0.5, 1.0) == 2.0


def test_two_copies_are_the_formula_of_mirrored_disks() -> None:
    rate, out = 0.01, 0.25
    repair = 1 / out
    assert mean_time_to_loss(2, 1, rate, out) == pytest.approx((3 * rate + repair) / (2 * rate**2))


def test_of_three_copies_all_must_be_out_at_once() -> None:
    rate, out = 1e-4, 1.0
    # One of 3 fails (3 rate), each of the others is out with a chance of rate * out.
    assert 1 / mean_time_to_loss(3, 2, rate, out) == pytest.approx(3 * rate * (rate * out) ** 2, rel=1e-3)


def test_of_a_code_any_that_are_more_than_tolerated() -> None:
    rate, out = 1e-5, 1.0
    # 20 choices of three of six; each of the three may be the last.
    assert 1 / mean_time_to_loss(6, 2, rate, out) == pytest.approx(20 * 3 * rate * (rate * out) ** 2, rel=1e-3)


def test_a_latent_error_counts_where_no_copy_is_to_spare() -> None:
    assumed = Assumptions(device_rate=0.01, latent_rate=0.1, latent_bytes=1e6, device_bytes=1e12, react_hours=10)
    assumed = replace(assumed, repair_bytes_per_hour=1e30)
    policy = Policy("2 copies", 2, 1, 2)
    found = object_loss_rate(policy, ZONES, assumed, 1e6)
    hit, latent_years, years = 0.1 * 2e6 / 1e12, 7 * 24 / HOURS_PER_YEAR, 10 / HOURS_PER_YEAR
    assert found == pytest.approx(2 * (0.01 + hit) * (0.01 * years + hit * latent_years), rel=1e-3)


def test_the_scrub_takes_longer_than_its_period_where_it_must() -> None:
    assumed = Assumptions()
    assert assumed.scrub_hours(1) == 14 * 24
    assert assumed.scrub_hours(8) == pytest.approx(8 * 9.6e12 / (20 * 2**20 * 3600))
    assert latent_density(Shape("", 3, 1, 8), assumed) > latent_density(Shape("", 3, 1, 1), assumed)


def test_fatal_sets_are_counted_once() -> None:
    copies = np.array([[0, 1, 2], [2, 0, 1], [3, 1, 0]], dtype=np.int16)
    assert fatal_sets(copies, 3) == 2
    assert fatal_sets(copies, 2) == 5  # 01 02 12 03 13


def test_what_must_be_lost_of_devices_machines_and_zones() -> None:
    layout = Shape("", 3, 2, 2).layout(part_power=8)
    rows, code = POLICIES[0], POLICIES[5]
    assert [least_domains(layout, rows, tier) for tier in (3, 2, 1)] == [3, 3, 3]
    # 8+3 on 12 devices: four in a zone, two on a machine.
    assert [least_domains(layout, code, tier) for tier in (3, 2, 1)] == [4, 2, 1]


def test_least_domains_looks_at_the_worst_partition(layout: Layout) -> None:
    tables = dict(layout.tables)
    first = [array("H", column) for column in tables[3]]
    for column, device in enumerate((0, 1, 2)):
        first[column][0] = device
    crowded = replace(layout, tables={**tables, 3: tuple(first)})
    assert least_domains(layout, COPIES_3, 1) == 3
    assert least_domains(crowded, COPIES_3, 1) == 1


def close(found: Losses, expected: float) -> None:
    assert found.error < 0.12 * expected, "too few cycles to say anything"
    assert abs(found.any - expected) < 4 * found.error


@pytest.mark.parametrize(("policy", "cycles"), [(POLICIES[1], 300), (COPIES_3, 800), (POLICIES[4], 300)])
def test_the_simulation_agrees_with_the_formula(layout: Layout, policy: Policy, cycles: int) -> None:
    sets = fatal_sets(copies_of(layout, policy), policy.tolerated + 1)
    expected = sets * loss_rate(policy.tolerated + 1, policy.tolerated, AT_ONCE.device_rate, AT_ONCE.react_hours)
    close(Simulation(ZONES, layout, policy, AT_ONCE, 7).run(cycles), expected)


def test_importance_sampling_does_not_change_what_comes_out(layout: Layout) -> None:
    often = replace(AT_ONCE, device_rate=3.0)
    policy = POLICIES[1]
    drawn = Simulation(ZONES, layout, policy, often, 3).run(600)
    plain = Simulation(ZONES, layout, policy, often, 4, biased=False).run(600)
    assert plain.error < 0.2 * plain.any
    assert abs(drawn.any - plain.any) < 4 * (drawn.error**2 + plain.error**2) ** 0.5


def test_no_copy_to_spare_makes_a_latent_error_a_loss(layout: Layout) -> None:
    policy = POLICIES[1]
    assumed = replace(AT_ONCE, latent_rate=50.0)
    found = Simulation(ZONES, layout, policy, assumed, 5).run(100)
    without = Simulation(ZONES, layout, policy, AT_ONCE, 5).run(100)
    # All that one device had has no copy to spare: so many unreadable ranges as a device has.
    expected = 12 * assumed.device_rate * probability(latent_density(ZONES, assumed) * assumed.device_bytes)
    assert found.any - without.any == pytest.approx(expected, rel=0.05)


def test_a_zone_that_is_lost_takes_what_has_too_much_in_it(layout: Layout) -> None:
    only = replace(AT_ONCE, device_rate=0, zone_rate=0.01)
    code = Simulation(ZONES, layout, POLICIES[5], only, 1, kinds=("zone",)).run(20)
    assert code.any == pytest.approx(3 * 0.01)
    copies = Simulation(ZONES, layout, COPIES_3, only, 1, kinds=("zone",)).run(20)
    assert copies.any < 1e-4


def test_what_is_nearest_to_loss_is_rebuilt_first() -> None:
    copies = np.array([[0, 1, 2], [0, 3, 4], [0, 3, 5], [0, 1, 6]], dtype=np.int16)
    cluster = _Cluster(copies, np.zeros(8, dtype=np.int64), 2, np.random.default_rng(0))
    assert cluster.fail(np.array([0]), 10) == (0, 0)
    assert cluster.fail(np.array([3]), 10) == (0, 2)
    assert not cluster.repair(12.0, 1 / 8)  # two hours, eight devices, one copy an hour
    assert list(cluster._missing) == [1, 1, 1, 1]
    assert not cluster.repair(15.0, 1 / 8)
    assert cluster.repair(16.5, 1 / 8)
    assert cluster.now == pytest.approx(16.0)
    assert all(len(set(row)) == 3 for row in cluster._holders.tolist())


def test_copies_are_rebuilt_in_their_zone_on_devices_that_have_none(layout: Layout) -> None:
    zone = np.repeat(np.arange(3), 4)
    cluster = _Cluster(copies_of(layout, COPIES_3), zone, 2, np.random.default_rng(1))
    cluster.fail(np.array([5]), 1.0)
    assert cluster.repair(1000.0, 1000.0)
    zones = np.sort(zone[cluster._holders], axis=1)
    assert (zones == [0, 1, 2]).all()
    # What is rebuilt is exposed again: to lose all of a zone now is to lose a copy of everything.
    assert cluster.fail(np.array([4, 5, 6, 7]), 1.0) == (0, 0)
    assert (cluster._missing == 1).all()
