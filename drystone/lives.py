"""The runs of the cluster's processes: which of them are over, and whom to ask before data are dropped.

A process says under which id it lives, with a lease (`members.stay_live`). Whose lease has ended, and who does not say
so again for a while, is taken to be over: its uploads are ended by others, and it is not asked for pins. It may live
all the same, cut off from the registry. What it commits then is refused by abort records, and what it reads ends short
(docs/consistency.md, "Pins", "Uploads").

That while is for a registry that was away itself: leases end unheard then, of all processes at once, and each says
again that it lives as soon as it can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

import trio

from drystone.node_records import LIVES, load_lives
from store.core.errors import BusyError, RetryableError
from store.device.port import DevicePort
from store.objects.pins import PinHolder
from store.registry import Event, Registry
from store.registry.follow import follow
from store.remote.process import RemoteProcess
from store.ring import Ring

GRACE_SECONDS: Final = 30.0
"""For a process whose lease has ended to say again that it lives: it tries all the time, and a call to a registry that
hangs may take that long."""


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
        self._living: Mapping[bytes, str] = {}
        """Who lives, and the names of their nodes."""
        self._missed: dict[bytes, tuple[str, float]] = {}
        """Whose lease has ended, the names of their nodes, and when that was seen."""
        self._begun: float | None = None
        self._is_settled = False
        """Whether all who lived when this process began have had their time to say so."""
        self._loading = trio.Lock()
        self._over: dict[bytes, int] = {}
        """Of lives that were asked about, and are over: an epoch that is none below those of the rings they knew."""
        self.on_over: Callable[[], Awaitable[None]] = _nobody
        """Called when a life has ended."""

    async def load(self) -> None:
        """Read who lives. The ring is read behind that: who was over by then knows none that is newer."""
        async with self._loading:
            lives = await load_lives(self._registry)
            self._ring = await self._load_ring()
            now = trio.current_time()
            before, self._living = self._living, {life.id: name for name, life in lives.items()}
            for life, name in before.items():
                self._missed.setdefault(life, (name, now))
            over = [
                life
                for life, (name, since) in self._missed.items()
                # A node has one process at a time: where another one lives there, it is over.
                if life not in self._living and (name in lives or now >= since + GRACE_SECONDS)
            ]
            for life in (*over, *self._living):
                self._missed.pop(life, None)
            for life in self._living:
                self._over.pop(life, None)
            if self._begun is None:
                self._begun = now
            settled = self._is_settled
            self._is_settled = now >= self._begun + GRACE_SECONDS
            if over or (self._is_settled and not settled):
                await self.on_over()

    async def run(self) -> None:
        """Follow the registry until cancelled."""

        async def again(_event: Event) -> None:
            await self.load()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_again)
            nursery.start_soon(follow, self._registry, LIVES, self.load, again)

    async def _look_again(self) -> None:
        while True:
            await trio.sleep(GRACE_SECONDS)
            if self._missed or not self._is_settled:
                with suppress(RetryableError):
                    await self.load()

    def is_over(self, life: bytes) -> bool:
        """While nothing is known of those who lived before this process began, none of them is."""
        if self._ring is None or not self._is_settled or life in self._living or life in self._missed:
            return False
        self._over.setdefault(life, self._ring.epoch)
        return True

    def is_away(self, name: str) -> bool:
        """Whether no process of a node lives. While nothing is known of those who lived before this process began, of
        none that is said."""
        if self._ring is None or not self._is_settled or name == self._name:
            return False
        return name not in self._living.values() and name not in (missed for missed, _since in self._missed.values())

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
        missed = (name for name, _since in self._missed.values())
        names = [name for name in {*lives, *missed} if name != self._name]
        unknown = [name for name in names if name not in processes]
        if unknown:
            raise BusyError(f"no link to {', '.join(unknown)} yet: whether data are needed there is not known")
        return [processes[name].pins for name in names]


async def _nobody() -> None:
    await trio.lowlevel.checkpoint()
