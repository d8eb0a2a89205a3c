"""Steps of the ring, as daemons take them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog
import trio

from store.core.deadline import within
from store.core.errors import DrystoneError
from store.device.port import DURABLE_SECONDS, DevicePort
from store.objects.store import DeviceStore
from store.ring import Ring

log = structlog.get_logger()

STEP_SECONDS = 600.0
"""Between two steps behind which things are forgotten: each is written to the registry and to all devices, and whoever
asks by the ring before has to ask again."""

Step = Callable[[Callable[[Ring], Ring]], Awaitable[Ring]]
"""Takes one step on the stored ring, and gives the ring that came of it. Raises DrystoneError where it cannot be stored
now."""


class CollectStep:
    """A step of the ring after which nothing that was asked by an older one can take effect any more: what was kept
    against that may be forgotten (docs/consistency.md, "Tombstones", "Uploads")."""

    def __init__(self, store: DeviceStore, step: Step) -> None:
        self._store = store
        self._step = step
        self._due_at = -STEP_SECONDS

    @property
    def due(self) -> bool:
        """Whether the last one was long enough ago."""
        return trio.current_time() >= self._due_at

    async def take(self, needed: Iterable[DevicePort]) -> None:
        """Take one: on return those that are `needed` refuse what is older, and have taken in what came before; the
        others do so if they can. Raises DrystoneError."""
        ring = await self._step(Ring.collect)
        self._due_at = trio.current_time() + STEP_SECONDS
        await self._store.rows.follow(ring)  # before it is enforced: nobody here has to ask again
        needed = list(needed)
        for device in needed:
            await self._enforce(device, ring)
        for device in list(self._store.devices.values()):
            if device not in needed and device.failed is None:
                try:
                    await self._enforce(device, ring)
                except DrystoneError as error:
                    log.info("a device enforces an older ring for now", device=device.id, why=str(error))

    @staticmethod
    async def _enforce(device: DevicePort, ring: Ring) -> None:
        with within(DURABLE_SECONDS):
            await device.enforce(ring.epoch)
            await device.drain()  # what came before that is taken in, and found to be older
