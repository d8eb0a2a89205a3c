"""Checking a whole device: every row and block that the index names is read and verified, and what is derived is
counted anew. For `drystone device check`; the scrubber does the same at leisure while the device serves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from store.core.errors import DamageError
from store.engine.block import decode_shares, parse_key, shares_key
from store.engine.device import Device
from store.engine.row import PREFIX_BYTES, SYSTEM, Flag, Location, decode_value, verify_value

PAGE = 1000


@dataclass
class Report:
    """What a check found. `problems` has one line for each thing that is not as it must be."""

    rows: int = 0
    tombstones: int = 0
    blocks: int = 0
    bytes_read: int = 0
    problems: list[str] = field(default_factory=list)


async def check_device(device: Device) -> Report:
    """Read and verify everything that the device's index names."""
    report = Report()
    await device.view.recount()
    live: dict[int, int] = {}
    usage: dict[bytes, dict[int, list[int]]] = {}
    await _check_rows(device, report, live, usage)
    await _check_blocks(device, report, live)
    for segment in sorted({*live, *(s for s, size in device.space.live.items() if size)}):
        counted, kept = live.get(segment, 0), device.space.live.get(segment, 0)
        if counted != kept:
            report.problems.append(f"segment {segment:016x}: {counted} bytes live, {kept} noted")
    for prefix, counts in usage.items():
        try:
            noted = device.view.usage(int.from_bytes(prefix[1:5]), prefix[5:21], int.from_bytes(prefix[21:23]))
        except DamageError as error:
            report.problems.append(f"shard {prefix.hex()}: {error}")
            continue
        if {policy: tuple(entry) for policy, entry in counts.items()} != noted:
            report.problems.append(f"shard {prefix.hex()}: counted {counts}, noted {noted}")
    return report


async def _check_rows(
    device: Device, report: Report, live: dict[int, int], usage: dict[bytes, dict[int, list[int]]]
) -> None:
    start = b"r"
    while page := device.entries.range(start, b"s", PAGE):
        for key, value in page:
            try:
                verify_value(key, value)
                row = decode_value(key, value)
                await device.load_row(key, row, payload=True)
            except DamageError as error:
                report.problems.append(f"row {key.hex()}: {error}")
                continue
            report.rows += 1
            report.tombstones += bool(row.flags & Flag.TOMBSTONE)
            report.bytes_read += row.location.length
            live[row.location.segment] = live.get(row.location.segment, 0) + row.location.length
            if row.live and row.name[:1] != SYSTEM:
                entry = usage.setdefault(key[:PREFIX_BYTES], {}).setdefault(row.policy, [0, 0])
                entry[0] += 1
                entry[1] += row.size
        start = page[-1][0] + b"\0"


async def _check_blocks(device: Device, report: Report, live: dict[int, int]) -> None:
    start = b"d"
    shared: Counter[Location] = Counter()
    while page := device.entries.range(start, b"e", PAGE):
        for key, _ in page:
            block = parse_key(key)
            entry = device.blocks.find(block)
            try:
                await device.read_block(block)
                if entry is not None and entry.link is not None:
                    await device.reads.meta(entry.link)
            except DamageError as error:
                report.problems.append(f"block {block.block} of {block.data_id.hex()}: {error}")
            if entry is None:
                continue
            report.blocks += 1
            report.bytes_read += entry.location.length
            if entry.link is not None:
                live[entry.link.segment] = live.get(entry.link.segment, 0) + entry.link.length
            if entry.link is not None or device.entries.get(shares_key(entry.location)) is not None:
                shared[entry.location] += 1
            else:
                live[entry.location.segment] = live.get(entry.location.segment, 0) + entry.location.length
        start = page[-1][0] + b"\0"
    _check_shares(device, report, live, shared)


def _check_shares(device: Device, report: Report, live: dict[int, int], shared: Counter[Location]) -> None:
    noted = {}
    start = b"l"
    while page := device.entries.range(start, b"m", PAGE):
        for key, value in page:
            try:
                noted[key] = decode_shares(key, value)
            except DamageError as error:
                report.problems.append(f"shares {key.hex()}: {error}")
        start = page[-1][0] + b"\0"
    counted = {shares_key(location): count for location, count in shared.items()}
    for key in sorted({*noted, *counted}):
        if counted.get(key) != noted.get(key):
            report.problems.append(f"shares {key.hex()}: {counted.get(key)} blocks, {noted.get(key)} noted")
    for location in shared:
        live[location.segment] = live.get(location.segment, 0) + location.length
