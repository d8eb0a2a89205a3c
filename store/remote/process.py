"""Another process of the cluster, and the devices that it has: its links, and the news of how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from store.core.errors import DrystoneError
from store.remote import methods
from store.remote.device import RemoteDevice
from store.remote.pins import RemotePins
from store.wire.client import Dial, WireClient
from store.wire.errors import ProtocolError
from store.wire.message import Hello

NEWS_AGAIN_SECONDS: Final = 5.0
"""So long after a process that is there has said no more of its devices, or what cannot be, it is asked again."""
SETTLED_SECONDS: Final = 0.1
"""So often the other process is told which rows are settled: more often than it writes its indexes."""


class RemoteProcess:
    """Run `run` beside it. `devices` are those that are asked for, whether they can be reached or not: one that cannot
    is out, and says why."""

    def __init__(self, numbers: Iterable[int], dial: Dial, mine: Hello) -> None:
        self._rows = WireClient(dial, mine)
        self._data = WireClient(dial, mine)
        self.devices = {number: RemoteDevice(number, self._rows, self._data) for number in numbers}
        self._data.on_down = self._lose_data
        self.pins = RemotePins(self._rows)
        self.on_back: Callable[[RemoteDevice], None] | None = None
        """Called with a device that was out, or was not reached, and can be used: it may have missed something."""

    async def run(self) -> None:
        """Keep in touch, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._rows.run)
            nursery.start_soon(self._data.run)
            nursery.start_soon(self._tell_settled)
            await self._follow()

    async def _follow(self) -> None:
        while True:
            await self._rows.wait_up()
            await self._data.wait_up()
            why = "it says nothing of its devices"
            try:
                async with self._rows.stream(methods.NEWS, (list(self.devices),)) as news:
                    async for state in news:
                        self._take(state)
            except DrystoneError as error:
                why = str(error)
            finally:
                for device in self.devices.values():
                    device.lose(why)
            if self._rows.up:
                await trio.sleep(NEWS_AGAIN_SECONDS)

    def _take(self, state: object) -> None:
        try:
            if not isinstance(state, list):
                raise TypeError("not a list")
            device = self.devices[state[0]]
            was_out = device.failed is not None
            device.take_news(state)
        except (TypeError, ValueError, LookupError) as error:
            raise ProtocolError(f"this is not how a device can be: {error}") from error
        if was_out and device.failed is None and self.on_back is not None:
            self.on_back(device)

    def _lose_data(self) -> None:
        for device in self.devices.values():
            device.lose_data()

    async def _tell_settled(self) -> None:
        while True:
            await trio.sleep(SETTLED_SECONDS)
            for device in self.devices.values():
                device.tell_settled()
