"""A plan: what a new layout would move, shown before anything moves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from store.ring.layout import Layout, Table
from store.ring.quorum import quorum


@dataclass(frozen=True)
class Flow:
    """Copies of partitions that leave one device for another. A side of None: a copy more, or one less, than before."""

    width: int
    source: int | None
    target: int | None
    copies: int


@dataclass(frozen=True)
class Plan:
    """From the layout `before` to the layout `after` (versions).

    `flows` are sorted, largest first. `copies` counts all partition-copies of the newer layout, in its partitions.
    `quorums_lost` maps a width to the partitions of which removed devices held so many copies that the others are no
    quorum: their rows may have lost acknowledged writes. Above 0, somebody should think first.
    """

    before: int
    after: int
    flows: tuple[Flow, ...]
    copies: int
    quorums_lost: dict[int, int]

    @property
    def moved(self) -> int:
        """Partition-copies that a device must receive."""
        return sum(flow.copies for flow in self.flows if flow.target is not None)

    @property
    def percent(self) -> float:
        """Of all partition-copies."""
        return 100.0 * self.moved / self.copies


def plan(before: Layout, after: Layout) -> Plan:
    """What would move. A table that only one of the two has moves nothing: data come to it, or left it, by other ways.
    `after` has as many partitions as `before`, or more."""
    flows: Counter[tuple[int, int | None, int | None]] = Counter()
    copies = 0
    lost = {}
    gone = before.devices.keys() - after.devices.keys()
    for width in before.tables.keys() & after.tables.keys():
        old, new = before.tables[width], after.tables[width]
        flows.update(_moves(width, old, new, after.part_power - before.part_power))
        copies += len(new) * after.partitions
        lost[width] = sum(
            sum(replica not in gone for replica in replicas) < quorum(len(old)) for replicas in zip(*old, strict=True)
        )
    ordered = sorted(flows.items(), key=lambda item: (-item[1], item[0][0], str(item[0][1:])))
    return Plan(
        before.version,
        after.version,
        tuple(Flow(*key, count) for key, count in ordered),
        copies,
        {width: count for width, count in sorted(lost.items()) if count},
    )


def _moves(width: int, old: Table, new: Table, growth: int) -> Counter[tuple[int, int | None, int | None]]:
    pairs = Counter[tuple[int, int | None, int | None]]()
    for partition, now in enumerate(zip(*new, strict=True)):
        then = [row[partition >> growth] for row in old]
        left = [replica for replica in then if replica not in now]
        come = [replica for replica in now if replica not in then]
        for index in range(max(len(left), len(come))):
            source = left[index] if index < len(left) else None
            target = come[index] if index < len(come) else None
            pairs[width, source, target] += 1
    return pairs
