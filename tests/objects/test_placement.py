"""Which devices are chosen for data, and what is said where too few can take them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from store.core.errors import BusyError, DeviceError, FullError, QuorumError
from store.engine.device import SLOW_SECONDS, Device
from store.objects.model import Policy
from store.objects.placement import choose
from store.ring import Ring
from tests.ring.rings import KEY, builder_of, even

POLICY = Policy(0, "copies", replicas=2)


class Home:
    """As much of a device as a choice asks."""

    def __init__(self, *room: bool, failed: DeviceError | None = None, slow: float = 0.0) -> None:
        self.slow = slow
        self.health = SimpleNamespace(failed=failed)
        self.full = True
        self._room = list(room)

    def look_for_room(self) -> bool:
        return self._room.pop(0) if len(self._room) > 1 else self._room[0]


def placed(*homes: Home) -> tuple[int, ...]:
    ring = Ring(KEY, (builder_of(even(1, 1, 1, len(homes)), widths=[2]).rebalance(1),))
    devices = cast("dict[int, Device]", dict(enumerate(homes)))
    return choose(ring, devices, POLICY, b"data", None).placed.devices


@pytest.mark.parametrize("full", [0, 1, 2])
def test_a_full_home_is_replaced_by_a_handoff(full: int) -> None:
    chosen = placed(*(Home(number != full) for number in range(3)))
    assert sorted(chosen) == sorted({0, 1, 2} - {full})


def test_room_that_comes_while_one_chooses_does_not_confuse_the_answer() -> None:
    with pytest.raises(FullError):
        placed(Home(False, True), Home(False, True))


def test_devices_that_refuse_for_different_reasons_are_no_quorum() -> None:
    with pytest.raises(QuorumError):
        placed(Home(False), Home(True, failed=DeviceError("out")))


def test_a_device_that_hangs_is_passed_over() -> None:
    assert 1 not in placed(Home(True), Home(True, slow=SLOW_SECONDS), Home(True))
    with pytest.raises(BusyError):
        placed(Home(True, slow=SLOW_SECONDS), Home(True, slow=SLOW_SECONDS))
