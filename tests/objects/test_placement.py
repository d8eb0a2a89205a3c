"""Which devices are chosen for data, and what is said where too few can take them."""

from __future__ import annotations

from typing import cast

import pytest

from store.core.errors import BusyError, DeviceError, FullError, QuorumError
from store.device.port import SLOW_SECONDS, DevicePort
from store.objects.model import Policy
from store.objects.placement import choose
from store.ring import Ring
from tests.ring.rings import KEY, builder_of, even

POLICY = Policy(0, "copies", replicas=2)


class Replica:
    """As much of a device as a choice asks."""

    def __init__(self, *room: bool, failed: DeviceError | None = None, slow: float = 0.0) -> None:
        self.slow = slow
        self.failed = failed
        self._room = list(room)

    @property
    def full(self) -> bool:
        return not (self._room.pop(0) if len(self._room) > 1 else self._room[0])


def data_location(*replicas: Replica) -> tuple[int, ...]:
    ring = Ring(KEY, (builder_of(even(1, 1, 1, len(replicas)), widths=[2]).rebalance(1),))
    devices = cast("dict[int, DevicePort]", dict(enumerate(replicas)))
    return choose(ring, devices, POLICY, b"data", None).data_location.devices


@pytest.mark.parametrize("full", [0, 1, 2])
def test_a_full_replica_is_replaced_by_a_handoff(full: int) -> None:
    chosen = data_location(*(Replica(number != full) for number in range(3)))
    assert sorted(chosen) == sorted({0, 1, 2} - {full})


def test_room_that_comes_while_one_chooses_does_not_confuse_the_answer() -> None:
    with pytest.raises(FullError):
        data_location(Replica(False, True), Replica(False, True))


def test_devices_that_refuse_for_different_reasons_are_no_quorum() -> None:
    with pytest.raises(QuorumError):
        data_location(Replica(False), Replica(True, failed=DeviceError("out")))


def test_a_device_that_hangs_is_passed_over() -> None:
    assert 1 not in data_location(Replica(True), Replica(True, slow=SLOW_SECONDS), Replica(True))
    with pytest.raises(BusyError):
        data_location(Replica(True, slow=SLOW_SECONDS), Replica(True, slow=SLOW_SECONDS))


def test_devices_that_are_out_are_too_few_and_may_be_back() -> None:
    """That is no error of the one that is out: the client may try again."""
    with pytest.raises(QuorumError, match="out"):
        data_location(Replica(True), Replica(True, failed=DeviceError("out")))
