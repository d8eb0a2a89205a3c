"""Whether a load balancer should send requests here: `/ready`. (That the process lives is what `/healthcheck` says.)

A node is ready when it reaches more than half of the devices that reads ask, so that one which is cut off from the
others is passed by, while the loss of a few devices, which all nodes see alike, takes none of them out. One that is
told to stop says so first: where somebody has asked of late, it goes on to serve until he must have noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from store.core.clock import Clock
from store.objects.store import DeviceStore

WATCHED_SECONDS: Final = 10.0
"""Who has asked within so long is taken to ask again."""
NOTICE_SECONDS: Final = 5.0
"""For him to notice: he should ask every second or two, and believe the second answer."""


class Readiness:
    """Of one process."""

    def __init__(self, reached: Callable[[], tuple[int, int]], clock: Clock) -> None:
        """`reached` says how many devices can be asked, and how many there are."""
        self._reached = reached
        self._clock = clock
        self._asked = float("-inf")
        self._stopping = False

    def why_not(self) -> str:
        """Why no requests should come; nothing where they may. To be asked for who asks from outside."""
        self._asked = self._clock.monotonic()
        if self._stopping:
            return "stopping"
        here, wanted = self._reached()
        return "" if 2 * here > wanted else f"{here} of {wanted} devices are reached"

    def stop(self) -> float:
        """From now on it is not ready: so many seconds it should go on to serve."""
        self._stopping = True
        return NOTICE_SECONDS if self._clock.monotonic() - self._asked < WATCHED_SECONDS else 0.0


def reached(store: DeviceStore) -> tuple[int, int]:
    """(devices that can be asked, all) of those that reads ask."""
    members = store.rows.ring.reading.members
    there = [device for number in members if (device := store.devices.get(number)) and device.failed is None]
    return len(there), len(members)
