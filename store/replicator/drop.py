"""A drop: data that nobody needs any more are removed from the devices that they lie on."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from store.core.errors import DrystoneError
from store.device.port import DURABLE_SECONDS
from store.objects.store import DeviceStore


class Drop:
    """Drops data from their devices, and waits until that is durable on all of them, but for none that hangs."""

    def __init__(self, store: DeviceStore, data_id: bytes, places: Iterable[int]) -> None:
        self._open = 1
        self._good = True
        self._finished = trio.Event()
        for number in dict.fromkeys(places):
            device = store.devices.get(number)
            try:
                if device is None:
                    self._good = False
                    continue
                device.submit_drop(data_id, self._done)
                self._open += 1
            except DrystoneError:
                self._good = False
        self._done(None)

    def _done(self, error: DrystoneError | None) -> None:
        self._open -= 1
        self._good = self._good and error is None
        if not self._open:
            self._finished.set()

    async def wait(self) -> bool:
        """Whether every device has dropped them. What is not is tried again later."""
        with trio.move_on_after(DURABLE_SECONDS) as waiting:
            await self._finished.wait()
        return self._good and not waiting.cancelled_caught
