"""What a fault has in its hands: one device of a house, its disk, and how to wait until it is whole again."""

from __future__ import annotations

from random import Random

import trio

from store.core.errors import DrystoneError
from store.engine.device import Device
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.house import House, Machine
from tests.simulation.object_checks import lacking
from tests.simulation.supply import PowerLoss
from tests.simulation.worker import Gate
from tests.twins.index import IndexMedium

PATIENCE_S = 3000.0
"""A device that is not whole after so long never will be."""


class Trouble:
    """One device, for the length of one fault."""

    def __init__(self, house: House, number: int, random: Random) -> None:
        self.house = house
        self.number = number
        self.random = random

    @property
    def machine(self) -> Machine:
        return self.house.machine

    @property
    def medium(self) -> SimMedium:
        return self.machine.media[self.number]

    @property
    def index(self) -> IndexMedium:
        return self.machine.indexes[self.number]

    @property
    def device(self) -> Device:
        return self.house.devices[self.number]

    @property
    def gate(self) -> Gate:
        disk = self.device._disk
        assert isinstance(disk, SimDisk)
        return disk.gate

    @property
    def in_ring(self) -> bool:
        return self.number in self.house.store.rows.ring.newest.devices

    def take_away(self) -> None:
        self.house.take_away(self.number)

    def crash(self) -> None:
        """The power goes, in a life that is to end so."""
        supply = self.house.supply
        if supply.cut_at is not None:
            supply.cut()
            raise PowerLoss

    async def bring_back(self) -> None:
        """Unless the ring has given it up meanwhile."""
        if self.in_ring:
            await self.house.bring_back(self.number)

    async def made_whole(self, *, scrub: bool = False) -> None:
        """Wait until it, and everything that it should have, is as if nothing had been: by the daemons themselves, with
        a pass of the scrubber only where nothing else could know."""
        began = trio.current_time()
        loops = self.house.replicator
        while True:
            if scrub:
                await loops.scrubber.scrub(None)
                await loops.repairer.repair_all()
            await trio.sleep(2)
            if await self.all_whole():
                return
            if trio.current_time() - began > PATIENCE_S:
                raise TimeoutError(f"device {self.number} is not whole: {await lacking(self.house)}")

    async def all_whole(self) -> bool:
        """Whether every device of the ring is there, trusted, and has all that it should."""
        house = self.house
        ring = house.store.rows.ring
        if len(ring.live) > 1 and not self.in_ring:
            return False
        for number in ring.newest.devices:
            device = house.devices.get(number)
            if device is None or device.health.failed is not None or not device.trusted:
                return False
        try:
            return not await lacking(house)
        except DrystoneError:
            return False
