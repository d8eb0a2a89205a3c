"""Rings for tests, and strategies that make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import strategies as st

from store.ring import Builder, Device, Layout

KEY = b"0123456789abcdef"

Place = tuple[int, int, str, float]
"""Region, zone, machine, weight."""


def builder_of(places: Iterable[Place], *, part_power: int | None = 6, widths: Iterable[int] = ()) -> Builder:
    builder = Builder(part_power=part_power)
    for region, zone, machine, weight in places:
        builder.add(region, zone, machine, weight, "disk")
    for width in widths:
        builder.add_width(width)
    return builder


def even(regions: int, zones: int, machines: int, disks: int) -> list[Place]:
    """So many zones in each region, machines in each zone, disks of weight 1 in each machine."""
    return [
        (region, zone, f"m{machine}", 1.0)
        for region in range(regions)
        for zone in range(zones)
        for machine in range(machines)
        for _ in range(disks)
    ]


places = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(1, 3),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 4.0]),
    ),
    min_size=1,
    max_size=14,
)


def replicas(layout: Layout, width: int) -> list[tuple[int, ...]]:
    """Of each partition."""
    return list(zip(*layout.tables[width], strict=True))


def held(layout: Layout, width: int) -> Counter[int]:
    counts = Counter(dict.fromkeys(layout.devices, 0))
    for row in layout.tables[width]:
        counts.update(row)
    return counts


def moves(before: Layout, after: Layout, width: int) -> list[int]:
    """Of each partition, how many of its copies come to a device that had none."""
    return [len(set(new) - set(old)) for old, new in zip(replicas(before, width), replicas(after, width), strict=True)]


def active(layout: Layout) -> list[Device]:
    return [device for device in layout.devices.values() if device.weight > 0]
