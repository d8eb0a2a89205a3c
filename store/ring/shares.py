"""How many copies each domain and device should hold: weight against dispersion, then whole numbers.

Weights say in which proportion devices fill; dispersion says that the copies of a partition belong in different
domains. Where the two disagree (a region with a tenth of the weight, two copies to place), dispersion may take a device
over its fair share by the `overload` factor and no further.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from store.ring.device import Device, Domain

K = TypeVar("K", bound=Hashable)

_GRAIN = 1e-9
"""Sums of fractions differ from whole numbers by rounding; what is this close to a whole number is meant to be it."""


@dataclass
class Node:
    """A failure domain and those within it. The root stands for the whole ring, a leaf for one device.

    In copies of each partition on average: `fair` is by weight alone, `share` what was decided. `even` is how many
    copies of one partition it must be ready to hold for the best dispersion. In copies over all partitions: `held` is
    what it
    has now, `copies` what it shall have.
    """

    weight: float = 0.0
    devices: int = 0
    fair: float = 0.0
    even: float = 0.0
    share: float = 0.0
    held: int = 0
    copies: int = 0
    children: dict[Domain, Node] = field(default_factory=dict)


def fair_shares(devices: Sequence[Device], width: int) -> dict[int, float]:
    """Copies of each partition that each device (all of weight above 0) holds on average by weight alone: none above
    1, since two copies of a partition never share a device. Their sum is `width`."""
    weights = {device.id: device.weight for device in devices}
    return divide(width, weights, dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 1.0))


def share_tree(
    devices: Sequence[Device], width: int, overload: float, partitions: int, held: Mapping[int, int]
) -> Node:
    """The tree of domains with shares and copies decided. `devices` all have weight; there are `width` or more. `held`
    is what they hold now: a device whose share lies between two whole numbers keeps the one that it has."""
    fair = fair_shares(devices, width)
    root = Node(even=float(width), share=float(width), copies=width * partitions)
    for device in sorted(devices, key=lambda device: device.domains):
        path = [root]
        for domain in device.domains:
            path.append(path[-1].children.setdefault(domain, Node()))
        for node in path:
            node.weight += device.weight
            node.devices += 1
            node.fair += fair[device.id]
            node.held += held.get(device.id, 0)
    _even_out(root, float(width))
    _share_out(root, overload)
    _count_out(root, partitions)
    return root


def _share_out(node: Node, overload: float) -> None:
    children = node.children
    if not children:
        return
    weights = {domain: child.weight for domain, child in children.items()}
    room = {domain: float(child.devices) for domain, child in children.items()}
    by_weight = divide(node.share, weights, dict.fromkeys(weights, 0.0), room)
    even = divide(node.share, dict.fromkeys(children, 1.0), dict.fromkeys(children, 0.0), room)
    # As dispersed as an even spread, every share may still lie anywhere between the whole numbers around its part:
    # then no partition has more copies there than it must.
    dispersed = divide(
        node.share,
        weights,
        {domain: float(_floor(part)) for domain, part in even.items()},
        {domain: float(min(_ceil(part), children[domain].devices)) for domain, part in even.items()},
    )
    way = 1.0
    for domain, child in children.items():
        step = dispersed[domain] - by_weight[domain]
        if step > _GRAIN:
            way = min(way, max(0.0, (1 + overload) * child.fair - by_weight[domain]) / step)
    for domain, child in children.items():
        child.share = by_weight[domain] + way * (dispersed[domain] - by_weight[domain])
        _share_out(child, overload)


def _even_out(node: Node, total: float) -> None:
    """Sets `even` below `node`, which gets `total`: as many copies of one partition as each domain must be ready to
    hold, split evenly tier by tier but none given more than its devices can take."""
    if not node.children:
        return
    ones = dict.fromkeys(node.children, 1.0)
    room = {domain: float(child.devices) for domain, child in node.children.items()}
    for domain, part in divide(total, ones, dict.fromkeys(ones, 0.0), room).items():
        child = node.children[domain]
        child.even = float(min(_ceil(part), child.devices))
        _even_out(child, child.even)


def _count_out(node: Node, partitions: int) -> None:
    """Whole numbers by what is held, then by largest remainder; no domain gets more copies of one partition than its
    share rounded up."""
    children = node.children
    if not children:
        return
    scale = node.copies / (node.share * partitions) if node.share else 1.0
    wanted = {domain: child.share * partitions * scale for domain, child in children.items()}
    most = {domain: _ceil(child.share) * partitions for domain, child in children.items()}
    for domain, child in children.items():
        child.copies = min(_floor(wanted[domain]), most[domain])
    left = node.copies - sum(child.copies for child in children.values())
    by_claim = sorted(
        children,
        key=lambda domain: (
            children[domain].held <= children[domain].copies,
            children[domain].copies - wanted[domain],
        ),
    )
    while left > 0:
        open_domains = [domain for domain in by_claim if children[domain].copies < most[domain]]
        for domain in open_domains[:left]:
            children[domain].copies += 1
        left -= len(open_domains[:left])
    for child in children.values():
        _count_out(child, partitions)


def divide(
    total: float, weights: Mapping[K, float], floors: Mapping[K, float], ceilings: Mapping[K, float]
) -> dict[K, float]:
    """Parts of `total` in proportion to `weights`, each within its floor and ceiling.

    Floors must sum to at most `total` and ceilings to at least `total`. The parts that a bound stops are settled, and
    what they leave is divided again among the rest, until none is stopped.
    """
    parts: dict[K, float] = {}
    free = dict(weights)
    left = total
    while free:
        unit = left / sum(free.values())
        over = {key: ceilings[key] for key, weight in free.items() if weight * unit > ceilings[key]}
        under = {key: floors[key] for key, weight in free.items() if weight * unit < floors[key]}
        excess = sum(free[key] * unit - bound for key, bound in over.items())
        lack = sum(bound - free[key] * unit for key, bound in under.items())
        # Only the side that outweighs the other is certain to stay at its bounds.
        stopped = over if excess >= lack else under
        if not stopped:
            return parts | {key: weight * unit for key, weight in free.items()}
        for key, bound in stopped.items():
            parts[key] = bound
            left -= bound
            del free[key]
    return parts


def _floor(value: float) -> int:
    return math.floor(value + _GRAIN)


def _ceil(value: float) -> int:
    return math.ceil(value - _GRAIN)
