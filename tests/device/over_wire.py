"""A device of this process behind links, as if it were one of another: `RemoteDevice`, `DeviceService` and what lies
between, over streams in memory."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import trio
from trio.testing import memory_stream_pair

from store.engine.device import Device
from store.remote.device import RemoteDevice
from store.remote.process import RemoteProcess
from store.remote.service import NEWS_SECONDS, DeviceService
from store.wire.client import Dial
from store.wire.message import Hello
from store.wire.server import serve_link


def hello(node: str) -> Hello:
    return Hello(1, 1, "c", node, "drystone 0")


class OverWire:
    """One device, and its own process. `remote` is it."""

    def __init__(self, engine: Device, dial: Dial | None = None) -> None:
        """`dial` opens a stream whose other end goes to `serve`; without it, one in memory."""
        self.engine = engine
        self.service = DeviceService({engine.id: engine}, lambda: None)
        self.process = RemoteProcess([engine.id], dial or self._dial, hello("a"))
        self.remote: RemoteDevice = self.process.devices[engine.id]
        engine.on_flush = lambda: self.service.note_late(engine)
        engine.on_damage = self._damaged
        self.links: list[trio.abc.Stream] = []
        self.refuses = False
        _ENGINES[self.remote] = engine

    def _damaged(self, key: bytes) -> None:
        """Repaired by who uses it, here, and not by its own process."""
        if self.remote.on_damage is not None:
            self.remote.on_damage(key)

    async def run(self) -> None:
        """Serve it, until cancelled."""
        await self.process.run()

    async def reached(self) -> None:
        """Wait until it can be used, or is out."""
        while self.remote.failed is not None and self.engine.failed is None:
            await trio.sleep(NEWS_SECONDS)

    async def _dial(self) -> trio.abc.Stream:
        if self.refuses:
            raise OSError("nobody listens")
        here, there = memory_stream_pair()
        self.links.append(here)
        trio.lowlevel.spawn_system_task(self.serve, there)
        return here

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer who has dialled."""
        await serve_link(stream, hello("b"), [self.service.serve])


_ENGINES: WeakKeyDictionary[RemoteDevice, Device] = WeakKeyDictionary()


def engine_behind(device: RemoteDevice) -> Device:
    return _ENGINES[device]
