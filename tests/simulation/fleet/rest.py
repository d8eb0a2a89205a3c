"""What must be true of a whole cluster when nothing has happened for a while."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from store.core.errors import DrystoneError
from store.engine.device import Device
from store.objects.store import DeviceStore
from tests.simulation.crash_point import PowerLoss
from tests.simulation.fleet.cluster import SimCluster
from tests.simulation.object_checks import lacking


class Devices(NamedTuple):
    """All devices of the ring, as the checks of a node take them."""

    store: DeviceStore
    devices: Mapping[int, Device]


async def whole(cluster: SimCluster) -> Devices:
    """Of the devices of all processes, with the store of one of them."""
    ring = await cluster.ring()
    devices = {number: device for number, device in cluster.devices.items() if number in ring.devices}
    return Devices(cluster.nodes[0].store, devices)


async def is_whole(cluster: SimCluster) -> bool:
    """Whether every process serves, and every device of the ring is there, in sync, and has all that it should."""
    ring = await cluster.ring()
    if len(cluster.serving) < len(cluster.processes):
        return False
    if any(process.life is None or process.stopped for process in cluster.processes):
        return False
    if any(node.store.rows.ring.epoch != ring.epoch for node in cluster.nodes):
        return False
    devices = cluster.devices
    for number in ring.newest.devices:
        device = devices.get(number)
        if device is None or device.health.failed is not None or not device.in_sync:
            return False
    with suppress(DrystoneError, PowerLoss):  # a process may die meanwhile
        return not await lacking(await whole(cluster))
    return False
