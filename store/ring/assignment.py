"""A table being changed: how many copies stand where, what a move would do, and the moves themselves.

The rules of which move to make are in `moves`; the first table of all is made by `first_table`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

from store.ring.device import Device
from store.ring.layout import Table
from store.ring.shares import Node

HOLE = -1
"""In the place of a device: this copy has none yet."""


class Assignment:
    """One width's table while it is rebalanced.

    Domains are numbered, and a device's path is its four numbers from region to itself. `most[number]` is how many
    copies of one partition a domain may hold by the shares that were decided, `best[number]` the same or less for
    dispersion's sake. `target` and `held` count copies for each device; a device without weight has a target of 0.
    """

    def __init__(self, rows: Sequence[Iterable[int]], devices: Mapping[int, Device], tree: Node) -> None:
        self.rows = [list(row) for row in rows]
        self.partitions = len(self.rows[0])
        self.target: dict[int, int] = dict.fromkeys(devices, 0)
        self.most: list[int] = []
        self.best: list[int] = []
        self.paths: dict[int, tuple[int, ...]] = {}
        self._number(tree, ())
        for id_ in devices.keys() - self.paths.keys():
            self._number_idle(id_, devices)
        self.held: dict[int, int] = dict.fromkeys(devices, 0)
        for row in self.rows:
            for device in row:
                if device != HOLE:
                    self.held[device] += 1
        self.moved: set[int] = set()

    def _number(self, node: Node, path: tuple[int, ...]) -> None:
        for domain, child in node.children.items():
            here = (*path, len(self.most))
            self.most.append(-(-child.copies // self.partitions))
            self.best.append(min(self.most[-1], int(child.even)))
            if child.children:
                self._number(child, here)
            else:
                id_ = domain[-1]
                assert isinstance(id_, int)
                self.paths[id_] = here
                self.target[id_] = child.copies

    def _number_idle(self, id_: int, devices: Mapping[int, Device]) -> None:
        """A device without weight still counts in the domains that it shares with devices that have weight."""
        path = []
        for tier, domain in enumerate(devices[id_].domains):
            shared = [other for other in self.paths if devices[other].domains[tier] == domain]
            if shared:
                path.append(self.paths[shared[0]][tier])
            else:
                path.append(len(self.most))
                self.most.append(0)
                self.best.append(0)
        self.paths[id_] = tuple(path)

    def replicas(self, partition: int) -> list[int]:
        return [row[partition] for row in self.rows]

    def excess(self, replicas: Iterable[int], newcomer: int, limits: Sequence[int]) -> int | None:
        """In how many domains `newcomer` beside `replicas` would be one too many by `limits` (`most` or `best`); None
        if it is one of them."""
        region, zone, machine, _ = self.paths[newcomer]
        in_region = in_zone = in_machine = 1
        for replica in replicas:
            if replica == HOLE:
                continue
            if replica == newcomer:
                return None
            theirs = self.paths[replica]
            if theirs[0] == region:
                in_region += 1
                if theirs[1] == zone:
                    in_zone += 1
                    if theirs[2] == machine:
                        in_machine += 1
        return (in_region > limits[region]) + (in_zone > limits[zone]) + (in_machine > limits[machine])

    def put(self, partition: int, copy: int, device: int) -> None:
        """Moves one copy of a partition to `device`; the partition counts as moved."""
        before = self.rows[copy][partition]
        if before != HOLE:
            self.held[before] -= 1
        self.held[device] += 1
        self.rows[copy][partition] = device
        self.moved.add(partition)

    def surplus(self, device: int) -> int:
        return self.held[device] - self.target[device]

    def table(self) -> Table:
        return tuple(array("H", row) for row in self.rows)
