"""All loops of the replicator together: what a process runs beside its devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from store.core.clock import Clock
from store.device.port import DevicePort
from store.objects.store import DeviceStore
from store.registry import Registry
from store.replicator.collect import Collector
from store.replicator.exchange import Exchange
from store.replicator.expire import Expirer
from store.replicator.hints import Hints
from store.replicator.in_doubt import InDoubt
from store.replicator.progress import ProgressTable
from store.replicator.rebalance import Rebalancer
from store.replicator.rejoin import Rejoiner
from store.replicator.repair import Repairer
from store.replicator.restore import Restorer
from store.replicator.scrub import Scrubber
from store.replicator.step import CollectStep, Step
from store.replicator.throttle import Throttle
from store.replicator.tombstones import TombstoneCollector
from store.replicator.upload_janitor import Lives, UploadJanitor


class Replicator:
    """Keeps the promises of one store over time."""

    def __init__(
        self,
        store: DeviceStore,
        registry: Registry,
        clock: Clock,
        progress: ProgressTable,
        step: Step,
        lives: Lives,
        node: str = "",
    ) -> None:
        """`lives` are those of all processes that use these devices: of one that is alone `OnlyOne`. `node` is the name
        of this one where there are others: what is noted of its own devices goes by it."""
        self._store = store
        self.on_flush: Callable[[DevicePort], None] = _nobody
        """Called before the index of a device of this process is written: rows that other processes wrote there and
        have not settled come to be in doubt."""
        self.throttle = Throttle(clock)
        self.restorer = Restorer(store, self.throttle)
        exchange = Exchange(store, self.restorer)
        self.hints = Hints(store, self.restorer, clock, progress)
        self.repairer = Repairer(store, self.restorer, progress)
        collect = CollectStep(store, step)
        self.janitor = UploadJanitor(store, lives, progress, collect)
        self.in_doubt = InDoubt(store, self.janitor, self.repairer, progress)
        self.collector = Collector(store, progress)
        self.tombstones = TombstoneCollector(store, progress, collect)
        self.expirer = Expirer(store, clock, progress)
        self.rejoiner = Rejoiner(store, self.restorer, exchange, progress)
        self.rebalancer = Rebalancer(store, exchange, self.throttle, progress, step)
        self.scrubber = Scrubber(store, self.repairer, registry, clock, progress, node)

    async def start(self, nursery: trio.Nursery) -> None:
        """Decide what the process before left undecided, then start all loops: to be awaited before the first request
        is served."""
        for device in self._store.own.values():
            self.listen(device)
        await self.janitor.find_all_left_behind()
        await self.in_doubt.resolve_all()
        for loop in (
            self.hints,
            self.repairer,
            self.janitor,
            self.in_doubt,
            self.collector,
            self.tombstones,
            self.expirer,
            self.rejoiner,
            self.rebalancer,
            self.scrubber,
        ):
            nursery.start_soon(loop.run)

    async def back(self, device: DevicePort) -> None:
        """A device that was out is in the store's devices again, or a new one is: bring it what it missed. What it has
        in doubt is looked at by the process that has it."""
        self._store.tables.forget()  # what was read without it may be older than what it has
        own = self._store.own.get(device.id) is device
        if own:
            self.listen(device)
        await self.janitor.find_left_behind([device])
        if own:
            await self.in_doubt.resolve_of(device)
        self.rejoiner.wake()
        self.hints.wake()
        self.repairer.device_is_back()
        self.rebalancer.wake()

    async def gone(self) -> None:
        """A process is no member any more, and so its life is over: end here what it left undecided."""
        await self.janitor.find_all_left_behind()
        self.in_doubt.wake()

    def listen(self, device: DevicePort) -> None:
        """Have what is to be known of a device of this process said here."""
        device.on_damage = self.repairer.damaged
        device.on_flush = partial(self._before_flush, device)

    def _before_flush(self, device: DevicePort) -> None:
        self._store.rows.note_late()
        self.on_flush(device)


def _nobody(_device: DevicePort) -> None:
    pass
