"""Changes of the layout: each says whether it can be made now, and what it does to the builder."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from store.ring import Builder, Ring

Change = Callable[[Builder], object]
DEVICES_MAX = 8


class Choice:
    """What a change may look at."""

    def __init__(self, ring: Ring, needed: int, harmed: int | None, random: Random) -> None:
        self.ring = ring
        self.weights = {number: device.weight for number, device in ring.newest.devices.items()}
        self.active = sorted(number for number, weight in self.weights.items() if weight)
        self.needed = needed
        self.harmed = harmed
        self.random = random

    @property
    def spare(self) -> bool:
        """Whether one device less is still enough."""
        return len(self.active) > self.needed


def add(choice: Choice) -> Change | None:
    if len(choice.weights) >= DEVICES_MAX:
        return None
    number = choice.ring.newest.next_device
    return lambda builder: builder.add(1, 1, f"m{number}", 1.0, f"disk{number}")


def empty(choice: Choice) -> Change | None:
    """A living device is to be emptied."""
    if not choice.spare:
        return None
    victim = choice.random.choice(choice.active)
    return lambda builder: builder.set_weight(victim, 0.0)


def back_again(choice: Choice) -> Change | None:
    """One that was emptied gets its weight back, and with it partitions that it had before."""
    emptied = sorted(number for number, weight in choice.weights.items() if not weight)
    if not emptied:
        return None
    victim = choice.random.choice(emptied)
    return lambda builder: builder.set_weight(victim, 1.0)


def weigh(choice: Choice) -> Change | None:
    victim, weight = choice.random.choice(choice.active), choice.random.choice([0.5, 1.0, 2.0])
    return lambda builder: builder.set_weight(victim, weight)


def remove_emptied(choice: Choice) -> Change | None:
    emptied = sorted(number for number, weight in choice.weights.items() if not weight)
    if not emptied or len(choice.ring.live) > 1:
        return None
    return lambda builder: builder.remove(emptied[0])


def remove_out(choice: Choice) -> Change | None:
    """The device that is out is given up."""
    harmed = choice.harmed
    if harmed not in choice.weights or not (choice.spare or harmed not in choice.active):
        return None
    return lambda builder: builder.remove(harmed)


CHANGES: dict[str, Callable[[Choice], Change | None]] = {
    "add": add,
    "empty": empty,
    "back again": back_again,
    "weigh": weigh,
    "remove an emptied one": remove_emptied,
    "remove one that is out": remove_out,
}
