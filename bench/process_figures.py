"""What the kernel says of a process."""

from __future__ import annotations

import os
from collections.abc import Sequence


def memory(pid: int) -> int:
    """What a process has in memory of its own, in bytes."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        private = [int(line.split()[1]) for line in file if line.startswith(("Private_Dirty:", "Private_Clean:"))]
    return sum(private) * 1024


def processor_seconds(pids: Sequence[int]) -> float:
    """What processes have computed so far, in seconds of a processor."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def read(pid: int) -> int:
    """What a process has read of files, from disks or their cache, in bytes."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("rchar:"))


def written(pid: int) -> int:
    """What a process had written to disks, in bytes."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes:"))
