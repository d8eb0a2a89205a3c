"""How good a layout is: balance against weights, dispersion over failure domains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from store.ring.device import TIERS, Device, Domain
from store.ring.layout import Layout
from store.ring.shares import Node, share_tree


@dataclass(frozen=True)
class DeviceLoad:
    """`copies` of partitions that a device holds in one table, and the `fair` number by weight alone."""

    device: Device
    copies: int
    fair: float

    @property
    def percent_off(self) -> float:
        """Over (positive) or under its fair share. A device that should hold nothing and holds something: infinite."""
        if self.fair:
            return 100.0 * (self.copies - self.fair) / self.fair
        return float("inf") if self.copies else 0.0


@dataclass(frozen=True)
class Report:
    """One table of a layout.

    `crowded` maps each of region, zone and machine to the percent of partitions of which some domain of that tier holds
    more copies than it must, given the domains that there are. Unequal weights alone can bring that about.
    """

    width: int
    copies: int
    loads: tuple[DeviceLoad, ...]
    crowded: dict[str, float]

    @property
    def balance(self) -> float:
        """Percent by which the worst device with weight is over or under its fair share. Devices without weight are
        left out: they are being emptied."""
        return max((abs(load.percent_off) for load in self.loads if load.device.weight > 0), default=0.0)

    @property
    def dispersion(self) -> float:
        """Percent of partitions crowded in the worst tier; 0 is best."""
        return max(self.crowded.values())


def report(layout: Layout, width: int) -> Report:
    """The report of the table for `width`. KeyError where the layout has none."""
    table = layout.tables[width]
    active = [device for device in layout.devices.values() if device.weight > 0]
    tree = share_tree(active, len(table), layout.overload, layout.partitions, {})
    held = Counter[int]()
    for row in table:
        held.update(row)
    nodes = dict(_nodes(tree))
    loads = tuple(
        DeviceLoad(device, held[id_], nodes[device.domains[-1]].fair * layout.partitions if device.weight else 0.0)
        for id_, device in sorted(layout.devices.items())
    )
    return Report(
        width, len(table), loads, _crowded(layout, width, {domain: int(node.even) for domain, node in nodes.items()})
    )


def _nodes(node: Node) -> Iterator[tuple[Domain, Node]]:
    for domain, child in node.children.items():
        yield domain, child
        yield from _nodes(child)


def _crowded(layout: Layout, width: int, most: dict[Domain, int]) -> dict[str, float]:
    domains = {id_: device.domains for id_, device in layout.devices.items()}
    crowded = dict.fromkeys(TIERS[:3], 0)
    seen = Counter(zip(*layout.tables[width], strict=True))
    for replicas, partitions in seen.items():
        for tier, name in enumerate(TIERS[:3]):
            counts = Counter(domains[replica][tier] for replica in replicas)
            if any(count > max(1, most.get(domain, 0)) for domain, count in counts.items()):
                crowded[name] += partitions
    return {name: 100.0 * count / layout.partitions for name, count in crowded.items()}
