"""Requests that were slow say where their time went: a line of the log, and a histogram of each part.

A request is slow that took longer than SLOW_SECONDS without what it waited for its client, and without what its bytes
take at SLOW_BYTES a second. What is left when all parts are taken away is the rest: the processor, and whatever else
the event loop did meanwhile (`drystone_loop_turn_seconds` tells of that).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from store.core.clock import Clock
from store.core.waits import Waits

SLOW_SECONDS: Final = 1.0
SLOW_BYTES: Final = 10_000_000
"""What a disk that does its work takes or gives each second, and more."""
PAUSE_SECONDS: Final = 10.0
LINES_MAX: Final = 10
"""So many lines in so long; the next says how many there were besides."""
BUCKETS: Final = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds."""
PARTS: Final = ("devices", "links", "key_lock", "workers", "client", "rest")
PATH_MAX: Final = 200

_log = structlog.get_logger(__name__)


class SlowRequests:
    """`node_of` says on which node a device is; of one of this process, nothing."""

    def __init__(self, node_of: Callable[[int], str], clock: Clock) -> None:
        self._node_of = node_of
        self._clock = clock
        self._window = float("-inf")
        self._lines = 0
        self._unsaid = 0
        self.buckets = {part: [0] * (len(BUCKETS) + 1) for part in PARTS}
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def note(self, method: str, path: bytes, status: int, took: float, size: int, waits: Waits) -> None:
        """A request took longer than SLOW_SECONDS in all; `size` bytes came with it, or with its answer."""
        if took - waits.client < SLOW_SECONDS + size / SLOW_BYTES:
            return
        links: dict[str, float] = {}
        devices: dict[str, float] = {}
        for number, seconds in waits.devices.items():
            node = self._node_of(number)
            where, name = (links, f"{node}/{number}") if node else (devices, str(number))
            where[name] = seconds
        parts = {
            "devices": sum(devices.values()),
            "links": sum(links.values()),
            "key_lock": waits.key_lock,
            "workers": waits.workers,
            "client": waits.client,
        }
        parts["rest"] = max(0.0, took - sum(parts.values()))
        for part, seconds in parts.items():
            self.buckets[part][bisect_left(BUCKETS, seconds)] += 1
            self.seconds[part] += seconds
        if self._may_be_said():
            self._say(
                method=method,
                path=path[:PATH_MAX].decode("latin-1"),
                status=status,
                total_s=round(took, 3),
                **{f"{part}_s": round(seconds, 3) for part, seconds in parts.items() if seconds >= 0.0005},
                **_worst("device", devices),
                **_worst("link", links),
            )

    def _may_be_said(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._window + PAUSE_SECONDS:
            self._window, self._lines = now, 0
        self._lines += 1
        self._unsaid += self._lines > LINES_MAX
        return self._lines <= LINES_MAX

    def _say(self, **about: Any) -> None:
        unsaid, self._unsaid = self._unsaid, 0
        _log.warning("slow request", **about, **({"others": unsaid} if unsaid else {}))


def _worst(what: str, waits: dict[str, float]) -> dict[str, str]:
    """Who was waited for the longest: a node and its device, or one of this process."""
    return {what: max(waits, key=waits.__getitem__)} if waits else {}


def size_of(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """The length that a head states; 0 where it states none."""
    for name, value in fields:
        if name == b"content-length" and value.isdigit() and len(value) < 19:
            return int(value)
    return 0
