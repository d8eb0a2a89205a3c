"""Doubts: writes that a crash left at some of their homes are brought to all, before anyone is served.

Nobody was told what became of such a write, so it may have taken effect or not. But whoever looks must not be shown
first the one and then the other: reads ask a quorum, which need not have it, and sooner or later a daemon that looks at
all homes would find it and bring it to them. So what may be in doubt is looked at before the first request: the rows
that a device found in its log behind its index, and those that marked uploads were to become, however old.

A home that is away may still come back with such a write. That is as if the write had taken so long.
"""

from __future__ import annotations

import structlog
import trio

from store.core.errors import DrystoneError
from store.engine.row import SYSTEM, RowKey, index_key
from store.objects.store import DeviceStore
from store.replicator.repair import Repairer
from store.replicator.settle import Settler
from store.ring import ROWS

log = structlog.get_logger()

AT_ONCE = 64
"""Each waits for a sync: so many share one."""


async def decide(store: DeviceStore, settler: Settler, repairer: Repairer) -> int:
    """Bring what may be in doubt to all homes; how many rows were. To be called before the first request."""
    keys = dict.fromkeys(settler.targets())
    for device in store.devices.values():
        keys.update(dict.fromkeys(device.replayed))
        device.replayed.clear()
    doubtful = [key for key in keys if key.name[:1] != SYSTEM and await _differs(store, key)]
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def bring(key: RowKey) -> None:
        async with limiter:
            try:
                await repairer.repair_row(key)
            except DrystoneError as error:
                log.warning("a write in doubt is not at all homes yet", error=str(error))
                repairer.add(key)

    async with trio.open_nursery() as nursery:
        for key in doubtful:
            nursery.start_soon(bring, key)
    return len(doubtful)


async def _differs(store: DeviceStore, key: RowKey) -> bool:
    """Whether the homes that can be asked have different versions."""
    packed = index_key(key)
    stamps = set()
    for home in store.rows.ring.homes_all(ROWS, key.place):
        device = store.devices.get(home)
        if device is None or device.health.failed is not None:
            continue
        stamps.add(await device.find_stamp(packed))
    return len(stamps) > 1
