"""What a fault has in its hands: one device of a node, its disk, and how to wait until it is whole again."""

from __future__ import annotations

from random import Random

import trio

from store.core.errors import DrystoneError
from store.engine.device import Device
from tests.simulation.crash_point import PowerLoss
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.node import SimMedia, SimNode
from tests.simulation.object_checks import lacking
from tests.simulation.worker import Gate
from tests.twins.index import IndexMedium

PATIENCE_S = 3000.0
"""A device that is not whole after so long never will be."""


class Trouble:
    """One device, for the length of one fault."""

    def __init__(self, node: SimNode, number: int, random: Random) -> None:
        self.node = node
        self.number = number
        self.random = random

    @property
    def media(self) -> SimMedia:
        return self.node.media

    @property
    def medium(self) -> SimMedium:
        return self.media.disks[self.number]

    @property
    def index(self) -> IndexMedium:
        return self.media.indexes[self.number]

    @property
    def device(self) -> Device:
        return self.node.devices[self.number]

    @property
    def gate(self) -> Gate:
        disk = self.device._disk
        assert isinstance(disk, SimDisk)
        return disk.gate

    @property
    def in_ring(self) -> bool:
        return self.number in self.node.store.rows.ring.newest.devices

    def take_away(self) -> None:
        self.node.take_away(self.number)

    def crash(self) -> None:
        """The power goes, in a life that is to end so."""
        crash_point = self.node.crash_point
        if crash_point.cut_at is not None:
            crash_point.cut()
            raise PowerLoss

    async def bring_back(self) -> None:
        """Unless the ring has given it up meanwhile."""
        if self.in_ring:
            await self.node.bring_back(self.number)

    async def made_whole(self, *, scrub: bool = False) -> None:
        """Wait until it, and everything that it should have, is as if nothing had been: by the daemons themselves, with
        a pass of the scrubber only where nothing else could know."""
        began = trio.current_time()
        loops = self.node.replicator
        while True:
            if scrub:
                await loops.scrubber.scrub(None)
                await loops.repairer.repair_all()
            await trio.sleep(2)
            if await self.all_whole():
                return
            if trio.current_time() - began > PATIENCE_S:
                raise TimeoutError(f"device {self.number} is not whole: {await lacking(self.node)}")

    async def all_whole(self) -> bool:
        """Whether every device of the ring is there, in sync, and has all that it should."""
        node = self.node
        ring = node.store.rows.ring
        if len(ring.live) > 1 and not self.in_ring:
            return False
        for number in ring.newest.devices:
            device = node.devices.get(number)
            if device is None or device.health.failed is not None or not device.in_sync:
                return False
        try:
            return not await lacking(node)
        except DrystoneError:
            return False
