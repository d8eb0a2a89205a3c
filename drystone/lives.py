"""The runs of the cluster's processes: which of them are over, and whom to ask before data are dropped.

A process says under which id it lives, with a lease (`members.stay_live`). Whose lease has ended is taken to be over:
its uploads are ended by others, and it is not asked for pins. It may live all the same, cut off from the registry. What
it commits then is refused by abort records, and what it reads ends short (docs/consistency.md, "Pins", "Uploads").
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

import trio

from drystone.node_records import LIVES, load_lives
from store.core.errors import BusyError
from store.device.port import DevicePort
from store.objects.pins import PinHolder
from store.registry import Event, Registry
from store.registry.follow import follow
from store.remote.process import RemoteProcess
from store.ring import Ring


class Lives:
    """Run `run`, once it has begun by `load`. What the registry said last counts while it is away."""

    def __init__(
        self,
        registry: Registry,
        name: str,
        processes: Callable[[], Mapping[str, RemoteProcess]],
        devices: Mapping[int, DevicePort],
        load_ring: Callable[[], Awaitable[Ring]],
    ) -> None:
        """`name` is that of this node; `processes` are those of the others, by theirs; `load_ring` reads the ring from
        the registry."""
        self._registry = registry
        self._name = name
        self._processes = processes
        self._devices = devices
        self._load_ring = load_ring
        self._ring: Ring | None = None
        self._living: frozenset[bytes] = frozenset()
        self._over: dict[bytes, int] = {}
        """Of lives that were asked about, and are over: an epoch that is none below those of the rings they knew."""
        self.on_over: Callable[[], Awaitable[None]] = _nobody
        """Called when a life has ended."""

    async def load(self) -> None:
        """Read who lives. The ring is read behind that: who was over by then knows none that is newer."""
        lives = await load_lives(self._registry)
        self._ring = await self._load_ring()
        before, self._living = self._living, frozenset(life.id for life in lives.values())
        for life in self._living.intersection(self._over):
            del self._over[life]
        if before - self._living:
            await self.on_over()

    async def run(self) -> None:
        """Follow the registry until cancelled."""

        async def again(_event: Event) -> None:
            await self.load()

        await follow(self._registry, LIVES, self.load, again)

    def is_over(self, life: bytes) -> bool:
        if self._ring is None or life in self._living:
            return False
        self._over.setdefault(life, self._ring.epoch)
        return True

    def is_silent(self, life: bytes) -> bool:
        """Whether all devices of the ring refuse whatever a life that is over may ask by the rings that it knew."""
        if not self.is_over(life) or self._ring is None:
            return False
        known = [self._devices.get(number) for number in self._ring.devices]
        return all(device is not None and device.enforced > self._over[life] for device in known)

    async def others(self) -> Collection[PinHolder]:
        """Every other process that lives now. Raises RetryableError where that cannot be known, or one of them cannot
        be asked."""
        lives = await load_lives(self._registry)
        processes = self._processes()
        names = [name for name in lives if name != self._name]
        unknown = [name for name in names if name not in processes]
        if unknown:
            raise BusyError(f"no link to {', '.join(unknown)} yet: whether data are needed there is not known")
        return [processes[name].pins for name in names]


async def _nobody() -> None:
    await trio.lowlevel.checkpoint()
