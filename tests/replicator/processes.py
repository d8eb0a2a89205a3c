"""A second process over the devices of the first: it has none of its own, reads and writes those by links, and each of
the two answers for its pins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from unittest import mock

import trio
from trio.testing import memory_stream_pair

from store.core.stamp import StampSource
from store.device.port import DevicePort
from store.objects.pins import PinHolder
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.remote import process, service
from store.remote.pins import PinService
from store.remote.process import RemoteProcess
from store.remote.service import DeviceService
from store.wire import link
from store.wire.message import Hello
from store.wire.server import Service, serve_link
from tests.simulation.node import SimNode
from tests.simulation.worker import SimWorker, Turns
from tests.simulation.world import SeededRandom, SimClock

SELDOM_S = 0.7


class Line:
    """The way to a process, over streams in memory."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._streams: list[trio.abc.Stream] = []
        self._down = False

    async def dial(self) -> trio.abc.Stream:
        if self._down:
            raise OSError("nobody listens")
        here, there = memory_stream_pair()
        self._streams.append(here)
        trio.lowlevel.spawn_system_task(serve_link, there, _hello("there"), self._services)
        return here

    async def cut(self) -> None:
        """From now on nobody answers."""
        self._down = True
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


class Second:
    """The second process: `store` is its store."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        devices = DeviceService(node.devices, node.replicator.in_doubt.wake)
        for device in node.devices.values():
            device.on_flush = partial(_note_late, device.on_flush, devices, device)
        self._to_first = Line([devices.serve, PinService(node.store.pins.held).serve])
        self._first = RemoteProcess(node.devices, self._to_first.dial, _hello("second"))
        known = self._first.devices
        node.media.writers += 1
        rows = Rows(node.store.rows.ring, known, StampSource(SimClock(), node.media.writers), alone=False)
        random = Random(node.media.writers)
        workers = [SimWorker(Turns(random))]
        self.store = DeviceStore(rows, known, node.media.policies, SimClock(), SeededRandom(random), workers, own={})
        self.line = Line([PinService(self.store.pins.held).serve])
        """The way to it."""
        self._to_it = RemoteProcess([], self.line.dial, _hello("first"))
        self.members: list[PinHolder] = [self._to_it.pins]
        """Whom the first process has to ask."""
        node.store.pins.others = self._others
        self.store.pins.others = self._only_the_first

    async def _others(self) -> Collection[PinHolder]:
        return list(self.members)

    async def _only_the_first(self) -> Collection[PinHolder]:
        return [self._first.pins]

    async def run(self) -> None:
        """Keep in touch, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._first.run)
            nursery.start_soon(self._to_it.run)
            while True:  # it hears of new rings a little later
                await trio.sleep(SELDOM_S)
                if self.store.rows.ring.epoch < self._node.store.rows.ring.epoch:
                    await self.store.rows.follow(self._node.store.rows.ring)

    async def reached(self) -> None:
        """Wait until each can ask the other."""
        while any(device.failed is not None for device in self._first.devices.values()):
            await trio.sleep(SELDOM_S)
        await self._to_it._rows.wait_up()


@asynccontextmanager
async def second_process(node: SimNode) -> AsyncIterator[Second]:
    """One more process over the devices of a node. News and signs of life come seldom, so that hours are soon over."""
    with (
        mock.patch.object(service, "NEWS_SECONDS", SELDOM_S),
        mock.patch.object(process, "SETTLED_SECONDS", SELDOM_S),
        mock.patch.multiple(link, PING_SECONDS=2.5, DEAD_SECONDS=8.0),
    ):
        second = Second(node)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.run)
            await second.reached()
            yield second
            nursery.cancel_scope.cancel()


def _hello(node: str) -> Hello:
    return Hello(1, 1, "c", node, "drystone 0")


def _note_late(before: Callable[[], None] | None, service: DeviceService, device: DevicePort) -> None:
    if before is not None:
        before()
    service.note_late(device)
