"""A layout: one version of the answer to "which devices hold this partition?", and its stored form."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from store.core.codec import Codec
from store.ring.device import DEVICE_ID_MAX, Device
from store.ring.ring_hash import partition_of

ROWS: Final = 0
"""The width to ask for when placing metadata rows. How many replicas it means is each layout's own matter
(`row_width`), which is why rows are not asked for by a number: two live layouts may disagree on it."""

ROW_WIDTH_MAX = 3
PART_POWER_MAX = 20
"""A million partitions; more would make tables of many megabytes for no gain in balance."""

Table = tuple["array[int]", ...]
"""One array of device ids for each copy, indexed by partition."""


@dataclass(frozen=True)
class Layout:
    """Immutable. `tables` maps a width (or ROWS) to its assignment; `devices` maps ids, weight-0 devices included.

    `next_device` is the id that the next device will get, so that the ids of removed devices never come back.
    `overload` is the share by which a device may exceed its fair share for the sake of dispersion.
    """

    version: int
    part_power: int
    overload: float
    next_device: int
    devices: Mapping[int, Device]
    tables: Mapping[int, Table]

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", MappingProxyType(dict(self.devices)))
        object.__setattr__(self, "tables", MappingProxyType(dict(self.tables)))
        if self.version < 1 or not 0 <= self.part_power <= PART_POWER_MAX or self.overload < 0:
            raise ValueError("version, part_power or overload is out of its range")
        if not self.devices or max(self.devices) >= self.next_device or self.next_device > DEVICE_ID_MAX + 1:
            raise ValueError("device ids do not fit next_device")
        if ROWS not in self.tables:
            raise ValueError("no table for rows")
        for width, table in self.tables.items():
            self._check(width, table)

    def _check(self, width: int, table: Table) -> None:
        if not table or (width != ROWS and len(table) != width):
            raise ValueError(f"width {width}: {len(table)} copies")
        if any(len(copies) != self.partitions for copies in table):
            raise ValueError(f"width {width}: not one device for each partition")
        if not set().union(*map(set, table)) <= self.devices.keys():
            raise ValueError(f"width {width}: an unknown device")
        if len(table) > 1 and any(len(set(replicas)) < len(replicas) for replicas in zip(*table, strict=True)):
            raise ValueError(f"width {width}: two copies of a partition on one device")

    @property
    def partitions(self) -> int:
        return 1 << self.part_power

    @property
    def row_width(self) -> int:
        """How many replicas a row has: three, or as many as there are devices with weight if these are fewer."""
        return len(self.tables[ROWS])

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that policies asked for, in order; rows apart."""
        return tuple(sorted(self.tables.keys() - {ROWS}))

    @cached_property
    def members(self) -> frozenset[int]:
        """The devices that hold at least one partition of any width."""
        return frozenset(device for table in self.tables.values() for copies in table for device in set(copies))

    def replicas(self, width: int, ring_hash: int) -> tuple[int, ...]:
        """The devices of the partition that `ring_hash` falls in, in the order of copies (for an erasure code: of
        fragments). KeyError for a width that this layout has no table for."""
        partition = partition_of(ring_hash, self.part_power)
        return tuple([copies[partition] for copies in self.tables[width]])


def _fields(layout: Layout) -> Sequence[Any]:
    devices = [
        [d.id, d.region, d.zone, d.machine, d.weight, d.label]
        for d in sorted(layout.devices.values(), key=lambda device: device.id)
    ]
    tables = [[width, [_pack(copies) for copies in layout.tables[width]]] for width in sorted(layout.tables)]
    return [layout.version, layout.part_power, layout.overload, layout.next_device, devices, tables]


def _read_1(fields: Sequence[Any]) -> Layout:
    version, part_power, overload, next_device, devices, tables = fields
    return Layout(
        version,
        part_power,
        overload,
        next_device,
        {fields[0]: Device(*fields) for fields in devices},
        {width: tuple(_unpack(packed) for packed in copies) for width, copies in tables},
    )


def _pack(copies: array[int]) -> bytes:
    return _little_endian(copies).tobytes()


def _unpack(packed: bytes) -> array[int]:
    copies = array("H")
    copies.frombytes(packed)
    return _little_endian(copies)


def _little_endian(copies: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return copies
    swapped = array("H", copies)
    swapped.byteswap()
    return swapped


LAYOUT_CODEC: Final = Codec[Layout]("ring layout", 1, _fields, {1: _read_1})
"""The stored form, described field by field in docs/ring.md."""
