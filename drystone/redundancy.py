"""How many copies are there now of what is kept, by the ring alone: which share of all is one loss from gone.

Names are spread over partitions by a hash, so a share of the partitions is that share of the names and of the bytes.
No disk is asked. What single objects lack on devices that are there is another matter: hints and repairs know of that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from store.objects.model import Policy
from store.ring import ROWS, Layout, Ring, quorum

NAMES = "names"
"""Rows: names, and what is small enough to lie with them."""


@dataclass(frozen=True)
class Redundancy:
    """Shares of all partitions, 0 to 1. Each is in one of four states: `whole`, with all of its `copies`; `short` of
    some; `last`: one loss from gone; `away`: nowhere now. Those are `refused` to clients that are away, and of names
    those of which no quorum is there. Of the copies, `needed` are enough to have the thing."""

    what: str
    copies: int
    needed: int
    whole: float
    short: float
    last: float
    away: float
    refused: float


def redundancy(ring: Ring, policies: Sequence[Policy], serving: Collection[int]) -> list[Redundancy]:
    """Of names, and of the data of each policy. `serving` are the devices that are there and in sync.

    During a change of the ring rows are where reads ask, and data where the worse of the layouts has them.
    """
    reading = ring.reading
    width = reading.row_width
    found = [_of(NAMES, width, 1, quorum(width), _there([reading], ROWS, serving))]
    for policy in policies:
        layouts = [layout for layout in ring.live if policy.width in layout.tables]
        if layouts:
            needed = max(policy.k, 1)
            there = _there(layouts, policy.width, serving)
            found.append(_of(policy.name, policy.width, needed, needed, there))
    return found


def _of(what: str, copies: int, needed: int, served: int, there: Counter[int]) -> Redundancy:
    def share(holds: Callable[[int], bool]) -> float:
        return sum(partitions for count, partitions in there.items() if holds(count)) / there.total()

    return Redundancy(
        what,
        copies,
        needed,
        whole=share(lambda count: count == copies > needed),
        short=share(lambda count: needed < count < copies),
        last=share(lambda count: count == needed),
        away=share(lambda count: count < needed),
        refused=share(lambda count: count < served),
    )


def _there(layouts: Sequence[Layout], width: int, serving: Collection[int]) -> Counter[int]:
    """How many partitions have so many copies on devices that serve, in the worst of the layouts. All are brought to
    the finest division: partitions are only ever divided."""
    finest = max(layout.part_power for layout in layouts)
    known: dict[tuple[int, ...], int] = {}

    def alive(replicas: tuple[int, ...]) -> int:
        count = known.get(replicas)
        if count is None:
            count = known[replicas] = sum(replica in serving for replica in replicas)
        return count

    def of(layout: Layout) -> Iterator[int]:
        for replicas in zip(*layout.tables[width], strict=True):
            for _ in range(1 << (finest - layout.part_power)):
                yield alive(replicas)

    return Counter(map(min, zip(*map(of, layouts), strict=True)))
