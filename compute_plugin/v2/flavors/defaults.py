"""The flavors that a new cloud has: those of stock nova's early days, which everybody knows."""

from __future__ import annotations

from typing import Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.operating import Counter
from compute_plugin.records.records import Records

SEEDED: Final = "seeded-flavors"
"""A counter of how often they were made: once, so that what an administrator deletes is gone for good."""

FLAVORS: Final = (
    Flavor(id="1", name="m1.tiny", ram=512, disk=1, vcpus=1),
    Flavor(id="2", name="m1.small", ram=2048, disk=20, vcpus=1),
    Flavor(id="3", name="m1.medium", ram=4096, disk=40, vcpus=2),
    Flavor(id="4", name="m1.large", ram=8192, disk=80, vcpus=4),
    Flavor(id="5", name="m1.xlarge", ram=16384, disk=160, vcpus=8),
)


def seed_flavors(records: Records) -> None:
    """A step of a change. Nothing where they were made before."""
    if records.counters.get(SEEDED) is None:
        records.counters.put(Counter(id=SEEDED, value=1))
        for flavor in FLAVORS:
            if records.flavors.get(flavor.id) is None and not records.flavors.has("name", flavor.name):
                records.flavors.put(flavor)
