"""The forms that a device may have, as the contract needs them: opened, killed, filled, taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Protocol

import trio

from store.core.errors import DeviceError
from store.device.port import DevicePort
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from tests.device.delayed import DelayedDevice, late
from tests.device.over_wire import OverWire
from tests.engine.devices import CLUSTER, disk_of
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium, SimIndex


class Form(Protocol):
    """One device, which outlives whoever has it open."""

    def opened(self) -> AbstractAsyncContextManager[DevicePort]:
        """Open it. Leaving the context is a kill -9, and a power loss."""
        ...

    def fill(self, *, full: bool) -> None:
        """Have no room above the reserve, or have room again."""
        ...

    def take_away(self) -> None:
        """It fails from now on, until it is opened anew."""
        ...


class InProcess:
    """A device of this process, on a simulated disk."""

    def __init__(self) -> None:
        self._medium = SimMedium(Random(1))
        self._index = IndexMedium()
        self._options = Options(64 * 1024, 0)
        self._device: Device

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[DevicePort]:
        index = SimIndex(self._index)
        self._device = await open_device(3, CLUSTER, disk_of(self._medium), lambda: index, self._options)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._device.run)
            yield self._device
            nursery.cancel_scope.cancel()
        self._medium.lose_power()

    def fill(self, *, full: bool) -> None:
        self._options.reserve_bytes = 1 << 50 if full else 0
        self._device.room.look()

    def take_away(self) -> None:
        self._device._fail(DeviceError("it was taken away"))


class Late(InProcess):
    """The same, that answers late and in another order."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[DevicePort]:
        async with super().opened():
            yield DelayedDevice(self._device, late(3))


class Remote(InProcess):
    """The same behind links."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[DevicePort]:
        async with super().opened(), trio.open_nursery() as nursery:
            over_wire = OverWire(self._device)
            nursery.start_soon(over_wire.run)
            await over_wire.reached()
            yield over_wire.remote
            nursery.cancel_scope.cancel()


FORMS = {"in process": InProcess, "late": Late, "remote": Remote}
