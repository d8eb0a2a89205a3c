"""Checking a whole device: every row and block that the index names is read and verified, and what is derived is
counted anew. For `drystone device check`; the scrubber does the same at leisure while the device serves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from store.core.errors import DamageError
from store.device.block import decode_references, parse_key, references_key
from store.device.data_fence import decode_meta as decode_fence
from store.device.data_fence import decode_value as decode_fence_value
from store.device.promise import decode_meta as decode_promise
from store.device.promise import decode_value as decode_promise_value
from store.device.row import PREFIX_BYTES, SYSTEM, Flag, Location, decode_value, verify_value
from store.device.row import index_key as row_key
from store.engine.device import Device

PAGE = 1000


@dataclass
class Report:
    """What a check found. `problems` has one line for each thing that is not as it must be."""

    rows: int = 0
    tombstones: int = 0
    promises: int = 0
    fences: int = 0
    blocks: int = 0
    bytes_read: int = 0
    problems: list[str] = field(default_factory=list)


async def check_device(device: Device) -> Report:
    """Read and verify everything that the device's index names."""
    report = Report()
    await device.row_table.recount()
    live: dict[int, int] = {}
    usage: dict[bytes, dict[int, list[int]]] = {}
    await _check_rows(device, report, live, usage)
    await _check_promises(device, report, live)
    await _check_fences(device, report, live)
    await _check_blocks(device, report, live)
    for segment in sorted({*live, *(s for s, size in device.segment_usage.live.items() if size)}):
        counted, kept = live.get(segment, 0), device.segment_usage.live.get(segment, 0)
        if counted != kept:
            report.problems.append(f"segment {segment:016x}: {counted} bytes live, {kept} noted")
    for prefix, counts in usage.items():
        try:
            noted = device.row_table.usage(int.from_bytes(prefix[1:5]), prefix[5:21], int.from_bytes(prefix[21:23]))
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
    while page := device.merged_index.range(start, b"s", PAGE):
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


async def _check_promises(device: Device, report: Report, live: dict[int, int]) -> None:
    start = b"p"
    while page := device.merged_index.range(start, b"q", PAGE):
        for key, value in page:
            try:
                promise = decode_promise_value(key, value)
                said = decode_promise(await device.reads.meta(promise.location))
                if (row_key(said.key), said.stamp.pack()) != (key[1:], promise.stamp):
                    raise DamageError("its record is another's")
            except DamageError as error:
                report.problems.append(f"promise {key.hex()}: {error}")
                continue
            report.promises += 1
            live[promise.location.segment] = live.get(promise.location.segment, 0) + promise.location.length
        start = page[-1][0] + b"\0"


async def _check_fences(device: Device, report: Report, live: dict[int, int]) -> None:
    start = b"z"
    while page := device.merged_index.range(start, b"{", PAGE):
        for key, value in page:
            try:
                epoch, first, location = decode_fence_value(key, value)
                if decode_fence(await device.reads.meta(location)) != (key[1:], epoch, first):
                    raise DamageError("its record is another's")
            except DamageError as error:
                report.problems.append(f"fence {key.hex()}: {error}")
                continue
            report.fences += 1
            live[location.segment] = live.get(location.segment, 0) + location.length
        start = page[-1][0] + b"\0"


async def _check_blocks(device: Device, report: Report, live: dict[int, int]) -> None:
    start = b"d"
    shared: Counter[Location] = Counter()
    while page := device.merged_index.range(start, b"e", PAGE):
        for key, _ in page:
            block = parse_key(key)
            entry = device.blocks.find(block)
            try:
                await device.read_block(block)
                if entry is not None and entry.reference is not None:
                    await device.reads.meta(entry.reference)
            except DamageError as error:
                report.problems.append(f"block {block.block} of {block.data_id.hex()}: {error}")
            if entry is None:
                continue
            report.blocks += 1
            report.bytes_read += entry.location.length
            if entry.reference is not None:
                live[entry.reference.segment] = live.get(entry.reference.segment, 0) + entry.reference.length
            if entry.reference is not None or device.merged_index.get(references_key(entry.location)) is not None:
                shared[entry.location] += 1
            else:
                live[entry.location.segment] = live.get(entry.location.segment, 0) + entry.location.length
        start = page[-1][0] + b"\0"
    _check_references(device, report, live, shared)


def _check_references(device: Device, report: Report, live: dict[int, int], shared: Counter[Location]) -> None:
    noted = {}
    start = b"l"
    while page := device.merged_index.range(start, b"m", PAGE):
        for key, value in page:
            try:
                noted[key] = decode_references(key, value)
            except DamageError as error:
                report.problems.append(f"references {key.hex()}: {error}")
        start = page[-1][0] + b"\0"
    counted = {references_key(location): count for location, count in shared.items()}
    for key in sorted({*noted, *counted}):
        if counted.get(key) != noted.get(key):
            report.problems.append(f"references {key.hex()}: {counted.get(key)} blocks, {noted.get(key)} noted")
    for location in shared:
        live[location.segment] = live.get(location.segment, 0) + location.length
