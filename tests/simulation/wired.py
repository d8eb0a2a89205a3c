"""The composed exploration with every device behind a network: `store.wire` and `store.remote` under all that the
simulation does to devices, and under what a network does besides."""

from __future__ import annotations

from random import Random
from unittest import mock

import trio

from store.device.port import DevicePort
from store.engine.device import Device
from store.remote import process, service
from store.remote.device import RemoteDevice
from store.wire import link
from tests.device.over_wire import OverWire, engine_behind
from tests.simulation.composed.faults import FAULTS, Fault
from tests.simulation.composed.run import ComposedRun
from tests.simulation.composed.trouble import Trouble
from tests.simulation.network import Path, SimNetwork
from tests.simulation.node import SimMedia, SimNode

HERE = "gateway"
SELDOM_S = 0.7
"""News and signs of life come less often than they do, so that days of simulated time are soon over."""


class WiredMedia(SimMedia):
    """Media whose devices are each at a place of their own."""

    network: SimNetwork

    def begin(self, random: Random) -> None:
        """A new network, for a new life."""
        self.network = SimNetwork(random)
        self.running: dict[int, trio.CancelScope] = {}
        self.node: SimNode | None = None

    def opened(self, node: SimNode) -> None:
        self.node = node

    def _back(self, device: RemoteDevice) -> None:
        """As `DeviceWatch` says it of a device that was opened anew."""
        if self.node is not None:
            self.node.nursery.start_soon(self.node.replicator.back, device)

    def port(self, device: Device) -> DevicePort:  # type: ignore[override]
        there = place_of(device.id)

        async def dial() -> trio.abc.Stream:
            return await self.network.dial(HERE, there)

        over_wire = OverWire(device, dial)
        over_wire.process.on_back = self._back
        self.network.cut(HERE, there)
        self.network.listen(there, over_wire.serve)
        if device.id in self.running:
            self.running[device.id].cancel()  # the process of the device that was opened before
        scope = self.running[device.id] = trio.CancelScope()

        async def run() -> None:
            with scope:
                await over_wire.run()

        trio.lowlevel.spawn_system_task(run)
        return over_wire.remote

    async def reached(self, port: DevicePort) -> None:  # type: ignore[override]
        assert isinstance(port, RemoteDevice)
        while port.failed is not None and engine_behind(port).failed is None:
            await trio.sleep(SELDOM_S)


def place_of(number: int) -> str:
    return f"device {number}"


def _paths(trouble: Trouble) -> tuple[SimNetwork, tuple[Path, Path]]:
    """The network, and the ways to and from a device."""
    media = trouble.media
    assert isinstance(media, WiredMedia)
    there = place_of(trouble.number)
    return media.network, (media.network.path(HERE, there), media.network.path(there, HERE))


async def _reached_again(trouble: Trouble) -> None:
    """Who was not reached is dialled again after seconds: so long the fault lasts."""
    await trouble.media.reached(trouble.node.store.devices[trouble.number])


async def cut_off(trouble: Trouble) -> None:
    """Nothing comes through for a while, both ways or one."""
    _, ways = _paths(trouble)
    shut = ways if trouble.random.random() < 0.5 else [trouble.random.choice(ways)]
    for path in shut:
        path.shut_it()
    try:
        await trio.sleep(trouble.random.choice([0.1, 2, 7, 40]))
    finally:
        for path in shut:
            path.open_it()
    await _reached_again(trouble)


async def broken(trouble: Trouble) -> None:
    """Streams break, again and again, with what is on its way."""
    network, _ = _paths(trouble)
    for _ in range(trouble.random.randint(1, 6)):
        network.cut(HERE, place_of(trouble.number))
        await trio.sleep(trouble.random.choice([0.01, 0.3, 3]))
    await _reached_again(trouble)


async def far(trouble: Trouble) -> None:
    """It takes longer than usual, and each time differently."""
    _, ways = _paths(trouble)
    before = [path.delay_s for path in ways]
    for path in ways:
        path.delay_s = trouble.random.choice([0.05, 0.5, 3])
    try:
        await trio.sleep(trouble.random.choice([1, 10]))
    finally:
        for path, delay_s in zip(ways, before, strict=True):
            path.delay_s = delay_s
    await _reached_again(trouble)


NETWORK_FAULTS = {
    "cut off": Fault(cut_off, harms=False),
    "broken streams": Fault(broken, harms=False),
    "far": Fault(far, harms=False),
}


class WiredRun(ComposedRun):
    """One seed of the exploration."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.media.__class__ = WiredMedia
        self.faults = sorted({*self.faults, *self.random.sample(sorted(NETWORK_FAULTS), self.random.randint(1, 3))})
        self.clocks = False
        """A write whose outcome is unknown may take effect much later, when a link is there again. Were the clock set
        back meanwhile, it would win over what was acknowledged since: allowed (docs/consistency.md, promise 7), but
        this model does not know of it."""
        self.delay_s = self.random.choice([0.0, 0.0, 0.002, 0.05, 0.3])

    def explore(self) -> str:
        with (
            mock.patch.object(service, "NEWS_SECONDS", SELDOM_S),
            mock.patch.object(process, "SETTLED_SECONDS", SELDOM_S),
            mock.patch.multiple(link, PING_SECONDS=2.5, DEAD_SECONDS=8.0),
        ):
            return super().explore()

    async def _life(self, steps: int, last: bool) -> None:
        assert isinstance(self.media, WiredMedia)
        self.media.begin(Random(self.random.getrandbits(64)))
        for number in range(20):
            for way in ((HERE, place_of(number)), (place_of(number), HERE)):
                self.media.network.path(*way).delay_s = self.delay_s
        await super()._life(steps, last)

    def fault(self, name: str) -> Fault:
        return NETWORK_FAULTS.get(name) or FAULTS[name]
