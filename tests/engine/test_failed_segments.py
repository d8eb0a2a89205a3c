"""A log segment whose sync failed is left: what its pages hold is known to nobody, whatever a later sync says."""

from __future__ import annotations

from random import Random

from store.core.errors import DeviceError
from store.device.row import index_key
from store.engine.device import Device
from tests.engine.devices import on_device, row, write
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium


def test_what_comes_after_a_failed_sync_goes_to_another_segment() -> None:
    medium = SimMedium(Random(1))

    async def segment_of(device: Device, name: bytes) -> int:
        found = await device.find_row(index_key(row(name, 1).key))
        assert found is not None
        return found.location.segment

    async def use(device: Device) -> None:
        assert await write(device, row(b"before", 1)) == [None]
        medium.fail_syncs = 1
        (error,) = await write(device, row(b"lost", 2))
        assert isinstance(error, DeviceError)
        assert await write(device, row(b"after", 3), row(b"behind", 4)) == [None, None]
        assert await segment_of(device, b"after") == await segment_of(device, b"behind")
        assert await segment_of(device, b"after") > await segment_of(device, b"before")

    on_device(medium, IndexMedium(), use)
