"""What the registry knows of each device, under `device/<id>`: which incarnation of it to believe, and where it lies.

A folder whose incarnation is another was away while a new device had its place: what it holds may have been deleted
since, and its deletion forgotten. The same goes for a device that is not `in_sync`: one that was just made in place of
another; or one without which tombstones were collected, which whoever does that must note here, durably, before the
first of them goes. Both are opened as not in sync, and believed again when they have rejoined all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from store.core.codec import Codec
from store.registry import Delete, Put, Registry, Span

PREFIX: Final = b"device/"
RECORDS: Final = Span.prefix(PREFIX)


@dataclass(frozen=True)
class DeviceRecord:
    """`incarnation` is empty where none is to be believed. `label` is the device's path, absolute or below the data
    folder: what the ring calls it is only where it was first. `node` is the one that has it; empty on a machine
    alone. `opening` tells an older copy of its folder (`drystone.device_opening`); empty where any is believed."""

    incarnation: bytes
    in_sync: bool
    label: str
    node: str = ""
    opening: bytes = b""


RECORD_CODEC: Final = Codec[
    DeviceRecord
](
    "device record",
    2,
    lambda record: (
        record.incarnation,
        record.in_sync,
        record.label,
        record.node,
        *([record.opening] if record.opening else []),
    ),
    {
        1: lambda fields: DeviceRecord(*fields[:3]),  # without the node
        2: lambda fields: DeviceRecord(*fields[:5]),  # the first programs did without the opening
    },
)


async def load_records(registry: Registry) -> dict[int, DeviceRecord]:
    items = await registry.range(RECORDS)
    return {int(item.key.removeprefix(PREFIX)): RECORD_CODEC.decode(item.value) for item in items}


async def save_records(registry: Registry, records: Mapping[int, DeviceRecord]) -> None:
    """Each device has one process that says what it is, so nothing is compared."""
    for number, record in sorted(records.items()):
        await registry.transact([], [put_record(number, record)])


def put_record(number: int, record: DeviceRecord) -> Put:
    """What stores a record, for a transaction that does more."""
    return Put(_key(number), RECORD_CODEC.encode(record))


def delete_record(number: int) -> Delete:
    return Delete(_key(number))


async def find_record(registry: Registry, number: int) -> DeviceRecord | None:
    item = await registry.get(_key(number))
    return None if item is None else RECORD_CODEC.decode(item.value)


def _key(number: int) -> bytes:
    return PREFIX + str(number).encode()
