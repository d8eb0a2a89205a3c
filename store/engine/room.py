"""Room: whether a device may take new data, which ends above what is reserved on its file system."""

from __future__ import annotations

from collections.abc import Callable

from store.core.disk import Disk
from store.core.errors import DeviceError, DrystoneError, FullError
from store.engine.health import Health
from store.engine.options import Options

LOOK_EVERY = 32
"""The file system is asked whether there is room once in so many times that somebody wants to know."""
LOOKS_A_RESERVE = 128
"""And when so many parts of what is reserved have been written since: before that can be used up."""


class Room:
    """The free space of one device. Asking the file system is quick."""

    def __init__(
        self, number: int, disk: Disk, options: Options, health: Health, on_failed: Callable[[DrystoneError], object]
    ) -> None:
        self._number = number
        self._disk = disk
        self._options = options
        self._health = health
        self._on_failed = on_failed
        self._full = False
        self._checked = 0
        self._written = 0
        """Bytes, since the file system was asked."""

    def check_for(self, size: int) -> None:
        """Before so many bytes of data are written: raises FullError as `check`. Each small write that asks the file
        system would pay for it: the interpreter is handed over to other threads meanwhile."""
        self._written += size
        if (self._full or self._written * LOOKS_A_RESERVE >= self._options.reserve_bytes) and not self.look():
            self._health.check()
            raise FullError(f"device {self._number} is full")

    def check(self, every: int = 1) -> None:
        """Raises FullError where free space is down to the reserve; asks the file system now and then."""
        self._checked += 1
        if (self._full or self._checked >= every) and not self.look():
            self._health.check()
            raise FullError(f"device {self._number} is full")

    @property
    def full(self) -> bool:
        """Whether free space is down to the reserve; asked of the file system anew while it is, and now and then."""
        self._checked += 1
        if self._full or self._checked >= LOOK_EVERY:
            self.look()
        return self._full

    def look(self) -> bool:
        """Ask the file system whether there is room above the reserve. A device whose folder has vanished is out, and
        has none."""
        self._checked = self._written = 0
        self._full = self.free_bytes() < self._options.reserve_bytes
        return not self._full

    def free_bytes(self) -> int:
        """What the file system has left; nothing, where the device is out."""
        if self._health.failed is not None:
            return 0
        try:
            return self._disk.free_bytes()
        except OSError as error:
            self._on_failed(DeviceError(f"its folder cannot be looked at: {error}"))
            return 0
