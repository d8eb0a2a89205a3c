"""The first table of a width: exact in balance and dispersion by construction.

Lay all copies on a line, each device's beside each other, devices in the order of the tree of domains. Partition p
takes the copies at p, p + P, p + 2P and so on, where P is the number of partitions. A domain with c copies is one
stretch of that line, so every partition gets c / P copies from it, rounded down or up and never further, and no device
with P copies or fewer is met twice. Swaps that keep both properties then mix which devices meet: many peers share the
work when one is lost, and later rebalances find a fitting partition on every device.
"""

from __future__ import annotations

from random import Random

from store.ring.assignment import HOLE, Assignment


def fill_first(work: Assignment, random: Random) -> None:
    """Fills an assignment that is all holes."""
    line = [device for device in work.paths for _ in range(work.target[device])]
    size = work.partitions
    work.rows = [line[start : start + size] for start in range(0, len(line), size)]
    work.held = dict(work.target)
    _mix(work, random)
    _shuffle_copies(work, random)


def _mix(work: Assignment, random: Random) -> None:
    size, width = work.partitions, len(work.rows)
    replicas = [list(column) for column in zip(*work.rows, strict=True)]
    for copy in range(width):
        for partition in range(size):
            other, their_copy = int(random.random() * size), int(random.random() * width)
            mine, theirs = replicas[partition][copy], replicas[other][their_copy]
            if mine == theirs or partition == other:
                continue
            replicas[partition][copy] = replicas[other][their_copy] = HOLE
            if _swappable(work, replicas[partition], replicas[other], mine, theirs):
                mine, theirs = theirs, mine
            replicas[partition][copy], replicas[other][their_copy] = mine, theirs
    work.rows = [list(row) for row in zip(*replicas, strict=True)]


def _swappable(work: Assignment, ours: list[int], others: list[int], mine: int, theirs: int) -> bool:
    """Whether `mine` beside `others` and `theirs` beside `ours` crowd no more than the other way round."""
    come = work.excess(ours, theirs, work.best)
    go = work.excess(others, mine, work.best)
    if come is None or go is None:
        return False
    if come + go == 0:
        return True
    if work.excess(ours, theirs, work.most) or work.excess(others, mine, work.most):
        return False
    stay = (work.excess(ours, mine, work.best) or 0) + (work.excess(others, theirs, work.best) or 0)
    return come + go <= stay


def _shuffle_copies(work: Assignment, random: Random) -> None:
    """The line gives first copies to the first domains; readers ask first copies first, so their order is mixed."""
    columns = []
    for column in zip(*work.rows, strict=True):
        replicas = list(column)
        random.shuffle(replicas)
        columns.append(replicas)
    work.rows = [list(row) for row in zip(*columns, strict=True)]
