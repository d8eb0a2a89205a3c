"""What the kernel says of a process."""

from __future__ import annotations


def memory(pid: int) -> int:
    """What a process has in memory of its own, in bytes."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        private = [int(line.split()[1]) for line in file if line.startswith(("Private_Dirty:", "Private_Clean:"))]
    return sum(private) * 1024


def written(pid: int) -> int:
    """What a process had written to disks, in bytes."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes:"))
