"""The builder: from one layout to the next. Offline, pure, and the same for the same seed."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Final

from store.core.errors import InvalidError, NotFoundError
from store.ring.assignment import HOLE, Assignment
from store.ring.device import DEVICE_ID_MAX, Device
from store.ring.first_table import fill_first
from store.ring.layout import PART_POWER_MAX, ROW_WIDTH_MAX, ROWS, Layout, Table
from store.ring.moves import rebalance
from store.ring.shares import share_tree

DEFAULT_OVERLOAD: Final = 0.1
"""A tenth over its share is what a device absorbs when one of twelve equals is lost, and little enough to plan for."""

PARTITIONS_PER_DEVICE: Final = 128
"""A device's load differs between partitions by chance; with a hundred of them the sum is even within some percent."""

PART_POWER_MIN: Final = 10
"""For one machine. A table of 1,024 partitions is a few kilobytes, its digest trees are few, and it serves eight
devices at full evenness; later the ring can grow without moving anything."""

PART_POWER_DEFAULT_MAX: Final = 16


def default_part_power(devices: int) -> int:
    """10 for up to 8 devices, then one more for each doubling, up to 16 (512 devices). Every partition costs each of
    its replicas a digest tree and a turn of the replicator, so more than is needed for evenness is waste."""
    wanted = max(1, devices) * PARTITIONS_PER_DEVICE - 1
    return max(PART_POWER_MIN, min(PART_POWER_DEFAULT_MAX, wanted.bit_length()))


class Builder:
    """Collects changes on top of a layout, or of nothing, and makes the next layout of them."""

    def __init__(self, base: Layout | None = None, *, part_power: int | None = None) -> None:
        """`part_power` is for a first layout alone; None has it chosen by the number of devices at the first rebalance.

        Raises InvalidError for a part power out of range, or given together with a base (see `grow`).
        """
        if part_power is not None and (base is not None or not 0 <= part_power <= PART_POWER_MAX):
            raise InvalidError(f"part_power is for a new ring, within 0 to {PART_POWER_MAX}; an existing one can grow")
        self._base = base
        self._part_power = part_power
        self._devices = dict(base.devices) if base else {}
        self._next_device = base.next_device if base else 0
        self._widths = set(base.widths) if base else set()
        self._overload = base.overload if base else DEFAULT_OVERLOAD

    @property
    def devices(self) -> dict[int, Device]:
        """The devices with all changes so far, by id."""
        return dict(self._devices)

    def add(self, region: int, zone: int, machine: str, weight: float, label: str) -> Device:
        """A new device under an id that no device had before. Raises InvalidError for a bad weight, or after
        65,536 devices."""
        if self._next_device > DEVICE_ID_MAX:
            raise InvalidError(f"all {DEVICE_ID_MAX + 1} device ids of this ring have been used")
        try:
            device = Device(self._next_device, region, zone, machine, float(weight), label)
        except ValueError as error:
            raise InvalidError(str(error)) from error
        self._devices[device.id] = device
        self._next_device += 1
        return device

    def remove(self, device: int) -> None:
        """The device is gone: every copy on it is placed anew at once. To empty a living one, set its weight to 0 and
        remove it when it holds nothing."""
        self._known(device)
        del self._devices[device]

    def set_weight(self, device: int, weight: float) -> None:
        try:
            self._devices[device] = replace(self._known(device), weight=float(weight))
        except ValueError as error:
            raise InvalidError(str(error)) from error

    def set_overload(self, overload: float) -> None:
        """How far over its fair share a device may go for dispersion: 0.1 is a tenth."""
        if not 0 <= overload < float("inf"):
            raise InvalidError(f"overload {overload} is not a number of 0 or more")
        self._overload = overload

    def add_width(self, width: int) -> None:
        """Have a table for `width` copies: the replicas of a policy, or k + m of an erasure code."""
        if width < 1:
            raise InvalidError(f"{width} copies make no policy")
        self._widths.add(width)

    def drop_width(self, width: int) -> None:
        """No policy uses this width any more; the caller has made sure that nothing is stored under it."""
        if width not in self._widths:
            raise NotFoundError(f"the ring has no table for {width} copies")
        self._widths.remove(width)

    def rebalance(self, seed: int) -> Layout:
        """The next layout: weights and dispersion as near as one move a partition allows, with the fewest moves.

        Raises InvalidError where no device has weight, or a width is larger than the number of devices with weight.
        """
        active = [device for device in self._devices.values() if device.weight > 0]
        if not active:
            raise InvalidError("a ring needs at least one device with a weight above 0")
        for width in self._widths:
            if width > len(active):
                raise InvalidError(
                    f"{width} copies need {width} devices with a weight above 0; the ring would have {len(active)}"
                )
        version = self._base.version + 1 if self._base else 1
        part_power = self._base.part_power if self._base else self._part_power
        if part_power is None:
            part_power = default_part_power(len(active))
        wanted = {ROWS: min(ROW_WIDTH_MAX, len(active)), **{width: width for width in self._widths}}
        tables = {
            key: self._table(key, width, active, part_power, Random(f"{seed}/{version}/{key}"))  # noqa: S311
            for key, width in sorted(wanted.items())
        }
        return Layout(version, part_power, self._overload, self._next_device, self._devices, tables)

    def _table(self, key: int, width: int, active: list[Device], part_power: int, random: Random) -> Table:
        partitions = 1 << part_power
        before = self._base.tables.get(key) if self._base else None
        held = Counter(replica for row in before or () for replica in row)
        tree = share_tree(active, width, self._overload, partitions, held)
        if before is None:
            work = Assignment([[HOLE] * partitions] * width, self._devices, tree)
            fill_first(work, random)
        else:
            work = Assignment(self._kept(before, width), self._devices, tree)
            rebalance(work, random)
        return work.table()

    def _kept(self, before: Table, width: int) -> list[list[int]]:
        """The old table with holes for gone devices, cut or widened to `width`. Only rows change their width."""
        rows = [[replica if replica in self._devices else HOLE for replica in row] for row in before]
        rows += [[HOLE] * len(before[0])] * (width - len(before))
        if width >= len(rows):
            return rows
        return [
            list(row) for row in zip(*(self._cut(replicas, width) for replicas in zip(*rows, strict=True)), strict=True)
        ]

    def _cut(self, replicas: Iterable[int], width: int) -> list[int]:
        """The first `width` replicas, those without a future left out first."""
        ordered = sorted(replicas, key=lambda replica: replica == HOLE or self._devices[replica].weight == 0)
        return ordered[:width]

    def _known(self, device: int) -> Device:
        if device not in self._devices:
            raise NotFoundError(f"the ring has no device {device}")
        return self._devices[device]


def grow(layout: Layout) -> Layout:
    """The next layout with twice the partitions, both halves of each where the whole was: nothing moves.

    Raises InvalidError at the largest number of partitions.
    """
    if layout.part_power >= PART_POWER_MAX:
        raise InvalidError(f"the ring has its {layout.partitions} partitions at most")
    tables = {width: tuple(_doubled(row) for row in table) for width, table in layout.tables.items()}
    return replace(layout, version=layout.version + 1, part_power=layout.part_power + 1, tables=tables)


def _doubled(row: array[int]) -> array[int]:
    # A partition is the top bits of a place, so partition p becomes 2p and 2p + 1.
    return array("H", (replica for replica in row for _ in range(2)))
