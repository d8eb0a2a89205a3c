"""A node says whether requests should come, and when they should not any more before it stops."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from drystone.readiness import NOTICE_SECONDS, WATCHED_SECONDS, Readiness
from drystone.service_manager import READY, STOPPING, notify


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_us(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("here", "all_", "ready"), [(3, 3, True), (2, 3, True), (1, 3, False), (2, 4, False), (0, 1, False)]
)
def test_more_than_half_of_the_devices_must_be_reached(here: int, all_: int, ready: bool) -> None:
    why = Readiness(lambda: (here, all_), Clock()).why_not()
    assert (why == "") is ready
    assert ready or why == f"{here} of {all_} devices are reached"


def test_who_watches_is_told_before_the_end_and_for_nobody_else_it_is_put_off() -> None:
    clock = Clock()
    assert Readiness(lambda: (3, 3), clock).stop() == 0
    watched = Readiness(lambda: (3, 3), clock)
    assert watched.why_not() == ""
    clock.now += WATCHED_SECONDS - 1
    assert watched.stop() == NOTICE_SECONDS
    assert watched.why_not() == "stopping"
    left = Readiness(lambda: (3, 3), clock)
    left.why_not()
    clock.now += WATCHED_SECONDS + 1
    assert left.stop() == 0


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@drystone-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if abstract else name)
        for state in READY, STOPPING:
            notify(state, {"NOTIFY_SOCKET": name})
            assert sock.recv(100) == state.encode()


def test_without_a_service_manager_nothing_is_told(tmp_path: Path) -> None:
    for environment in {}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}:
        notify(READY, environment)
