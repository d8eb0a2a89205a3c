"""The devices of this process, opened and looked after: one that is out or missing is tried again.

A device that fails stays where it is, so that whoever holds it gets errors, until it can be opened anew from its folder
(superblock verified, log recovered); then the new one takes its place in one step. A try that fails doubles the wait
for the next one; so does a device that is out again soon after it came back.

Open devices are looked at now and then: one whose folder has vanished would else go on to take writes into files that
nobody will ever find. What may hang is done in threads that nobody waits for at an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
import trio

from store.core.errors import DeviceError, DrystoneError
from store.device.port import DevicePort
from store.engine.owner import DeviceStatus, OwnedDevice

log = structlog.get_logger()

RETRY_SECONDS, RETRY_SECONDS_MAX = 5.0, 10.0
FLAP_SECONDS_MAX = 600.0
"""The longest wait for a device that is out again and again soon after it came back."""
SOUND_SECONDS = 120.0
"""A device that has served for so long, and for longer than its last wait, begins with the shortest wait again."""
LOOK_SECONDS = 5.0
"""Between looks at all devices."""
RELEASE_SECONDS = 10.0
"""For a device that is out to come to its end before it is opened anew: longer means that it hangs."""


class Housed(NamedTuple):
    """A device that was just opened, the free bytes where it lies, and how to look at its folder: `look` blocks, gives
    the free bytes, and raises OSError where the folder is not the one that was opened."""

    device: OwnedDevice
    free_bytes: int
    look: Callable[[], int]


Open = Callable[[int, ExitStack], Awaitable[Housed]]
"""Opens a device by its number; the stack closes what belongs to it. Raises DrystoneError or OSError."""

InThread = Callable[[Callable[[], int | None]], Awaitable[int | None]]
"""Does what may hang, and is not waited for any longer when it is cancelled."""


async def abandoning(work: Callable[[], int | None]) -> int | None:
    """In a thread of its own, however many others hang."""
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))


@dataclass
class _Opened:
    device: OwnedDevice
    look: Callable[[], int]
    stack: ExitStack
    since: float
    free_bytes: int
    looking: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    """Its loop has."""
    releasing: bool = False
    released: trio.Event = field(default_factory=trio.Event)
    """Its workers have stopped, and its folder may be opened anew."""


class DeviceWatch:
    """Opens, reopens and closes devices. `devices` is shared with the store, and changed in place."""

    def __init__(
        self, open_: Open, in_thread: InThread = abandoning, everyones: dict[int, DevicePort] | None = None
    ) -> None:
        """`everyones` has the devices of other processes, too: what is opened here comes there as well."""
        self._open_one = open_
        self._in_thread = in_thread
        self.devices: dict[int, DevicePort] = {}
        self._everyones = self.devices if everyones is None else everyones
        self.on_open: Callable[[DevicePort], None] = _nobody
        """Called with a device that was opened, before it is used."""
        self.missing: dict[int, str] = {}
        """Devices that are not open or out, and why the last try to open them failed."""
        self.on_back: list[Callable[[int], None]] = []
        """Called with the number of a device that was out or missing, and serves again."""
        self._opened: dict[int, _Opened] = {}
        self._waits: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._trying: set[int] = set()
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None

    # -- opening and closing -------------------------------------------------------------------------------------

    async def open_all(self, numbers: Iterable[int]) -> None:
        """Open all that can be opened; the others are tried again once it runs."""
        for number in sorted(numbers):
            if number in self._opened or number in self._trying:
                continue
            self._trying.add(number)
            try:
                await self._open(number)
            except (DrystoneError, OSError) as error:
                self._not_opened(number, error)
            finally:
                self._trying.discard(number)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the devices' loops, and look after them, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for opened in self._opened.values():
                await nursery.start(self._serve, opened)
            task_status.started()
            while True:
                with trio.move_on_after(LOOK_SECONDS):
                    await self._wake.wait()
                self._wake = trio.Event()
                for number, opened in self._opened.items():
                    self._look_at(number, opened, nursery)
                now = trio.current_time()
                for number in [number for number, due in self._due.items() if due <= now]:
                    nursery.start_soon(self._try, number)

    async def close(self) -> None:
        """Close all devices in order; those that are out without waiting for long."""
        for number, opened in self._opened.items():
            try:
                if opened.device.port.failed is None:
                    await opened.device.close()
                    opened.stack.close()
                elif not opened.released.is_set():
                    with trio.move_on_after(RELEASE_SECONDS, shield=True):
                        await self._release(opened)
            except (DrystoneError, OSError) as error:
                # What was acknowledged is in the log; the next start reads it again.
                log.warning("device not closed cleanly", device=number, error=str(error))
        self._opened.clear()

    async def leave(self, number: int) -> None:
        """Have nothing more to do with a device: another process has it now."""
        self.missing.pop(number, None)
        self._due.pop(number, None)
        device = self.devices.pop(number, None)
        if device is not None and self._everyones.get(number) is device:
            del self._everyones[number]
        opened = self._opened.pop(number, None)
        if opened is not None and not opened.releasing:
            with trio.move_on_after(RELEASE_SECONDS):
                await self._release(opened)

    def retry(self, number: int) -> None:
        """Try a device that is out or missing at once."""
        opened = self._opened.get(number)
        if opened is None or opened.device.port.failed is not None:
            self._due[number] = trio.current_time()
            self._wake.set()

    def free_bytes(self, number: int) -> int:
        """Of its file system, as it was seen last."""
        return self._opened[number].free_bytes

    def status(self, number: int) -> DeviceStatus:
        """Of a device that is open, or was and is out."""
        return self._opened[number].device.status()

    def retry_s(self, number: int) -> float:
        """Seconds until a device that is out is tried again."""
        return max(0.0, self._due.get(number, 0.0) - trio.current_time())

    # -- one device ----------------------------------------------------------------------------------------------

    async def _open(self, number: int) -> None:
        with ExitStack() as stack:
            housed = await self._open_one(number, stack)
            opened = _Opened(housed.device, housed.look, stack.pop_all(), trio.current_time(), housed.free_bytes)
        if self._nursery is not None:
            await self._nursery.start(self._serve, opened)
        self._opened[number] = opened
        self.on_open(opened.device.port)
        self.devices[number] = self._everyones[number] = opened.device.port
        self.missing.pop(number, None)
        self._due.pop(number, None)

    async def _serve(self, opened: _Opened, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            with opened.scope:
                await opened.device.run(task_status=task_status)
        finally:
            opened.ended.set()

    def _look_at(self, number: int, opened: _Opened, nursery: trio.Nursery) -> None:
        if opened.device.port.failed is None:
            if not opened.looking:
                nursery.start_soon(self._look, opened)
        elif number not in self._due and number not in self._trying:
            before, served = self._waits.get(number, 0.0), trio.current_time() - opened.since
            again = before and served < max(SOUND_SECONDS, before)
            self._wait(number, min(2 * before, FLAP_SECONDS_MAX) if again else RETRY_SECONDS)

    async def _look(self, opened: _Opened) -> None:
        opened.looking = True
        try:
            opened.free_bytes = await self._in_thread(opened.look) or 0
        except OSError as error:
            if opened.device.port.failed is None:
                opened.device.fail(f"its folder is gone or cannot be read: {error}")
                self._wake.set()
        finally:
            opened.looking = False

    async def _try(self, number: int) -> None:
        opened = self._opened.get(number)
        if number in self._trying or (opened is not None and opened.device.port.failed is None):
            return  # another try has begun, or has just had it back
        self._trying.add(number)
        self._due.pop(number, None)
        try:
            await self._reopen(number)
        except (DrystoneError, OSError) as error:
            before = self._waits.get(number, 0.0)
            self._not_opened(number, error, max(before, min(2 * before, RETRY_SECONDS_MAX)) or RETRY_SECONDS)
        else:
            log.info("device is back", device=number)
            for tell in self.on_back:
                tell(number)
        finally:
            self._trying.discard(number)

    async def _reopen(self, number: int) -> None:
        old = self._opened.get(number)
        if old is not None:
            if not old.releasing and self._nursery is not None:
                self._nursery.start_soon(self._release, old)
            with trio.move_on_after(RELEASE_SECONDS):
                await old.released.wait()
            if not old.released.is_set():
                raise DeviceError("what it was doing when it failed has not come to an end: its disk hangs")
        await self._open(number)

    async def _release(self, old: _Opened) -> None:
        """Let go of a device that is out. Takes as long as its disk does."""
        old.releasing = True
        old.scope.cancel()
        if self._nursery is not None:
            await old.ended.wait()
        await self._in_thread(old.device.stop_workers)
        old.device.release()
        old.stack.close()
        old.released.set()

    def _not_opened(self, number: int, error: BaseException, wait_s: float = RETRY_SECONDS) -> None:
        self.missing[number] = str(error)
        self._wait(number, wait_s)
        log.warning("device not opened", device=number, error=str(error), next_try_s=wait_s)

    def _wait(self, number: int, wait_s: float) -> None:
        self._waits[number] = wait_s
        self._due[number] = trio.current_time() + wait_s


def _nobody(_device: DevicePort) -> None:
    pass
