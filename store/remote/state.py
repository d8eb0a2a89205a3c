"""How a device is, as it is told to those who use it from elsewhere: what `DevicePort` says without asking."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import trio

from store.core.errors import DeviceError
from store.device.port import DevicePort

_SLOW_STEP = 0.5


class State(NamedTuple):
    """`failed` is empty, or says why it is out. `slow` is in seconds, in steps, so that it is news only now and
    then."""

    device: int
    failed: str
    in_sync: bool
    enforced: int
    full: bool
    crowded: bool
    slow: float
    losses: int


_TYPES: Final = (int, str, bool, int, bool, bool, float | int, int)


def state_of(device: DevicePort) -> State:
    """How a device of this process is now."""
    failed = device.failed
    if failed is not None:
        return State(device.id, str(failed), False, device.enforced, False, False, 0.0, 0)
    slow = device.slow // _SLOW_STEP * _SLOW_STEP
    return State(device.id, "", device.in_sync, device.enforced, device.full, device.crowded, slow, device.data_losses)


def gone(device: int, why: str) -> State:
    """How a device is of which nothing is known."""
    return State(device, why, False, 0, False, False, 0.0, 0)


class Known:
    """What is known of a device of another process."""

    __slots__ = ("failed", "state", "told")

    def __init__(self, device: int) -> None:
        self.state = gone(device, "")
        self.failed: DeviceError | None = DeviceError(f"device {device} has not been reached yet")
        self.told = trio.current_time()

    def take(self, fields: list[Any]) -> None:
        """News. Raises TypeError where they are none. What a newer program says besides is left to it."""
        if not isinstance(fields, list) or len(fields) < len(_TYPES) or not all(map(isinstance, fields, _TYPES)):
            raise TypeError("not a state")
        state = State(*fields[: len(_TYPES)])
        if state.device != self.state.device:
            raise TypeError(f"the state of device {state.device}")
        self.state = state
        self.failed = DeviceError(self.state.failed) if self.state.failed else None
        self.told = trio.current_time()

    def lose(self, why: str) -> None:
        """There is no news any more."""
        self.failed = DeviceError(f"device {self.state.device} cannot be reached: {why}")

    @property
    def slow(self) -> float:
        """Seconds for which the oldest write has not been answered there: it goes on to grow while nothing is told."""
        slow = self.state.slow
        return slow + trio.current_time() - self.told if slow else 0.0
