"""The moves of a rebalance, in the order of need: copies without a device, copies too close together, devices too full.

A partition moves at most one copy, except where devices are gone and there is nothing to lose. Whatever cannot be
reached under that rule is left to the next rebalance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from store.ring.assignment import HOLE, Assignment

_TRIES = 6
"""Devices drawn for a copy before all are looked at. The emptiest of a few is nearly as good as the emptiest of all."""

_SCAN = 32
"""All are looked at only when no more than these are left."""

_CHAIN_SCAN = 256
"""Partitions looked at for each device of a chain of moves."""

_CHAIN_TOLERANCE = 0.005
"""A device may stay too full by this part of its target before chains are tried, whose every link is a move."""


def rebalance(work: Assignment, random: Random) -> None:
    _fill_holes(work, random)
    _part_crowds(work, random)
    for limits in (work.best, work.most):
        _drain_surplus(work, limits, random)
    _chain_surplus(work, random)


class _Wanting:
    """The devices short of copies, drawn from at random."""

    def __init__(self, work: Assignment, random: Random) -> None:
        self._work = work
        self._random = random
        self._devices = [device for device in work.target if work.surplus(device) < 0]

    def __bool__(self) -> bool:
        return bool(self._devices)

    def draw(self, others: list[int], limits: Sequence[int]) -> int | None:
        """One that may stand beside `others` within `limits`, the emptiest of a few; None where none was found."""
        work, devices = self._work, self._devices
        best, best_lack = None, 0.0
        for _ in range(_TRIES):
            if not devices:
                return None
            index = int(self._random.random() * len(devices))
            device = devices[index]
            lack = -work.surplus(device)
            if lack <= 0:
                devices[index] = devices[-1]
                devices.pop()
                continue
            # By the part of its target that is missing, so that all fill up together and none is left at the end.
            lack_part = lack / work.target[device]
            if lack_part > best_lack and work.excess(others, device, limits) == 0:
                best, best_lack = device, lack_part
        if best is None and len(devices) <= _SCAN:
            for device in devices:
                if work.surplus(device) < 0 and work.excess(others, device, limits) == 0:
                    return device
        return best


def _least_bad(work: Assignment, others: list[int]) -> int:
    """The device with weight that crowds least, then is least full."""
    choices = []
    for device, target in work.target.items():
        excess = work.excess(others, device, work.most) if target else None
        if excess is not None:
            crowding = work.excess(others, device, work.best)
            choices.append((excess, work.surplus(device) >= 0, crowding, work.surplus(device) / target, device))
    return min(choices)[-1]


def _fill_holes(work: Assignment, random: Random) -> None:
    holes = [
        (partition, copy)
        for copy, row in enumerate(work.rows)
        for partition, replica in enumerate(row)
        if replica == HOLE
    ]
    random.shuffle(holes)
    wanting = _Wanting(work, random)
    for partition, copy in holes:
        others = work.replicas(partition)
        device = wanting.draw(others, work.best)
        work.put(partition, copy, _least_bad(work, others) if device is None else device)


def _part_crowds(work: Assignment, random: Random) -> None:
    """Takes copies out of domains that have too many of their partition. Where a domain has more than its share lets
    it, that is worth another device's surplus; where it merely could be better, it is not."""
    wanting = _Wanting(work, random)
    for partition in range(work.partitions):
        if partition in work.moved:
            continue
        replicas = work.replicas(partition)
        for copy in sorted(range(len(replicas)), key=lambda copy: -work.surplus(replicas[copy])):
            others = replicas[:copy] + replicas[copy + 1 :]
            if not work.excess(others, replicas[copy], work.best):
                continue
            device = wanting.draw(others, work.best) if work.surplus(replicas[copy]) > 0 else None
            if device is None and work.excess(others, replicas[copy], work.most):
                # Shares are rounded up, so that where one domain has too many, one beside it has room at every tier.
                device = _least_bad(work, others)
            if device is not None:
                work.put(partition, copy, device)
                break


def _drain_surplus(work: Assignment, limits: Sequence[int], random: Random) -> None:
    """Straight moves from devices with too much to devices with too little."""
    wanting = _Wanting(work, random)
    slots = [
        (partition, copy)
        for copy, row in enumerate(work.rows)
        for partition, replica in enumerate(row)
        if work.surplus(replica) > 0 and partition not in work.moved
    ]
    random.shuffle(slots)
    for partition, copy in slots:
        replica = work.rows[copy][partition]
        if work.surplus(replica) <= 0 or partition in work.moved:
            continue
        others = work.replicas(partition)
        del others[copy]
        device = wanting.draw(others, limits)
        if device is None and limits is work.most and not work.target[replica]:
            # A device that is to be emptied is emptied, even if the copy lands on one that is full already.
            device = _least_bad(work, others)
        if device is not None:
            work.put(partition, copy, device)


def _chain_surplus(work: Assignment, random: Random) -> None:
    """What straight moves could not settle: A gives to B what B can take, B gives another partition to C."""
    full = [
        device for device, target in work.target.items() if work.surplus(device) > max(1, target * _CHAIN_TOLERANCE)
    ]
    if not full:
        return
    slots: dict[int, list[tuple[int, int]]] = {device: [] for device in work.target}
    for copy, row in enumerate(work.rows):
        for partition, replica in enumerate(row):
            slots[replica].append((partition, copy))
    for offered in slots.values():
        random.shuffle(offered)
    for device in full:
        while work.surplus(device) > 0 and _chain(work, slots, device):
            pass


def _chain(work: Assignment, slots: dict[int, list[tuple[int, int]]], start: int) -> bool:
    """Finds and makes the shortest chain from `start` to a device that wants; False if none is in reach."""
    came: dict[int, tuple[int, int, int]] = {}
    used: set[int] = set()
    queue = deque([start])
    while queue:
        giver = queue.popleft()
        offered = [
            (partition, copy)
            for partition, copy in slots[giver]
            if partition not in work.moved and work.rows[copy][partition] == giver
        ]
        for partition, copy in offered[:_CHAIN_SCAN]:
            if partition in used:
                continue
            others = work.replicas(partition)
            del others[copy]
            for taker, target in work.target.items():
                if not target or taker == start or taker in came or work.excess(others, taker, work.best) != 0:
                    continue
                came[taker] = (partition, copy, giver)
                used.add(partition)
                queue.append(taker)
                if work.surplus(taker) < 0:
                    _make(work, came, start, taker)
                    return True
                break
    return False


def _make(work: Assignment, came: dict[int, tuple[int, int, int]], start: int, taker: int) -> None:
    while taker != start:
        partition, copy, giver = came[taker]
        work.put(partition, copy, taker)
        taker = giver
