"""Whether devices have all copies of what is stored, by what `drystone device dump` finds in their logs: no index, no
status and no running process has a say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

_ROW = re.compile(
    r"row (?P<key>[0-9a-f]+/\d+ b(?P<q>['\"]).*(?P=q)) at (?P<time>\d+)\.(?P<writer>\d+) (?P<flags>.*) \d+ bytes$"
)
_BLOCK = re.compile(r"block (?P<block>\d+/\d+) of (?P<data>[0-9a-f]+) for (?P<name>b['\"].*['\"])(,|$)")
_SYSTEM = "\\x00"
"""What the names of the store's own rows begin with, as they are printed: intents of uploads come and go."""


def lacking(dumps: Mapping[int, Iterable[str]], copies: int) -> list[str]:
    """What is not at so many devices: of each row that lives its newest version, and of its data, if they lie outside,
    each block of some data that were written for it. `dumps` are lines, by device."""
    rows: dict[str, dict[tuple[int, int], set[int]]] = defaultdict(lambda: defaultdict(set))
    flags: dict[tuple[str, tuple[int, int]], str] = {}
    blocks: dict[str, dict[str, dict[str, set[int]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    for device, lines in dumps.items():
        for line in lines:
            row = _ROW.search(line)
            if row is not None:
                stamp = int(row["time"]), int(row["writer"])
                rows[row["key"]][stamp].add(device)
                flags[row["key"], stamp] = row["flags"]
                continue
            block = _BLOCK.search(line)
            if block is not None:
                blocks[block["name"]][block["data"]][block["block"]].add(device)
    found = []
    for key, versions in rows.items():
        stamp = max(versions)
        name = key.split(" ", 1)[1]
        if "tombstone" in flags[key, stamp] or name[2:].startswith(_SYSTEM):
            continue
        if len(versions[stamp]) < copies:
            found.append(f"row {key} at {stamp} is on {sorted(versions[stamp])}")
        if "data" in flags[key, stamp].split(", ") and not any(
            all(len(devices) >= copies for devices in each.values()) for each in blocks[name].values()
        ):
            found.append(f"the data of row {key} are on too few devices: {dict(blocks[name])}")
    return found
