"""Waiting for what real processes do; the bound is for what never happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.machines import WAIT_SECONDS


def until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


def state(pid: int) -> str:
    """As ps shows it: T stopped, D waiting for a disk, Z dead and not reaped; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
