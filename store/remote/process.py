"""Another process of the cluster, and the devices that it has: its links, and the news of how they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

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
        self._asking = trio.CancelScope()
        self._why = ""
        self._reached = trio.Event()
        self._data.on_down = self._lose_data
        self.pins = RemotePins(self._rows)
        self.on_back: Callable[[RemoteDevice], None] | None = None
        """Called with a device that was out, or was not reached, and can be used: it may have missed something."""

    @property
    def up(self) -> bool:
        """Whether it can be asked."""
        return self._rows.up and self._data.up

    async def ask(self, method: str, seconds: float, arguments: Sequence[Any] = ()) -> Any:
        """Ask the process itself for something, and wait so long. Raises UnreachableError, BusyError where it does not
        answer, and what it answers."""
        return (await self._rows.call(method, arguments, seconds=seconds)).result

    def have(self, numbers: Collection[int]) -> None:
        """These are its devices from now on. Those that it had before and has still are the same objects."""
        if self.devices.keys() == set(numbers):
            return
        for number in self.devices.keys() - set(numbers):
            self.devices.pop(number).lose("it is not there any more")
        for number in set(numbers) - self.devices.keys():
            self.devices[number] = RemoteDevice(number, self._rows, self._data)
        self._asking.cancel()

    async def wait_reached(self) -> None:
        """Wait until it has once said how its devices are."""
        await self._reached.wait()

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
            asked_anew = False
            try:
                with trio.CancelScope() as self._asking:
                    await self._hear_news()
                asked_anew = self._asking.cancelled_caught and self._rows.up
            finally:
                if not asked_anew:
                    self._lose()
            if self._rows.up and not asked_anew:
                await trio.sleep(NEWS_AGAIN_SECONDS)

    async def _hear_news(self) -> None:
        """Until it says no more."""
        self._why = "it says nothing of its devices"
        numbers = list(self.devices)
        silent = set(numbers)
        if not silent:
            self._reached.set()
        try:
            async with self._rows.stream(methods.NEWS, (numbers,)) as news:
                async for state in news:
                    if self._asking.cancel_called:
                        return  # of a device that it may not have any more
                    silent.discard(self._take(state))
                    if not silent:
                        self._reached.set()
        except DrystoneError as error:
            self._why = str(error)

    def _lose(self) -> None:
        for device in self.devices.values():
            device.lose(self._why)

    def _take(self, state: object) -> int:
        """The number of the device that there is news of."""
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
        return device.id

    def _lose_data(self) -> None:
        for device in self.devices.values():
            device.lose_data()

    async def _tell_settled(self) -> None:
        while True:
            await trio.sleep(SETTLED_SECONDS)
            for device in self.devices.values():
                device.tell_settled()
