"""In-doubt writes: those that a crash left at some of their replicas are brought to a quorum, before anyone is served.

Nobody was told what became of such a write, so it may have taken effect or not. But whoever looks must not be shown
first the one and then the other: reads ask a quorum, which need not have it, and sooner or later a daemon that looks at
all replicas would find it and bring it to them. So what may be in doubt is looked at before the first request: the rows
that a device found in its log behind its index (which it notes until they were looked at), and those that marked
uploads were to become, however old.

Of those that name data the repairer looks at all places: an upload is answered when enough of them have everything, and
the others may have lost what was on its way. That is for later, and anyone may read meanwhile.

A replica that is away may still come back with such a write. That is as if the write had taken so long. What only a
device says that is not in sync is no doubt: it may have been deleted for good, and is forgotten then when the device is
rejoined; a write of unknown outcome to a row that others have, too, takes effect when it is scrubbed.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
import trio

from store.core.errors import DamageError, DrystoneError
from store.device.port import DevicePort
from store.device.row import SYSTEM, RowKey, index_key, parse_key
from store.objects.store import DeviceStore
from store.replicator.repair import Repairer
from store.replicator.upload_janitor import UploadJanitor

log = structlog.get_logger()

PAGE = 1000
AT_ONCE = 64
"""Each waits for a sync: so many share one."""


async def resolve(store: DeviceStore, janitor: UploadJanitor, repairer: Repairer) -> None:
    """Look at all that may be in doubt. To be called before the first request. What cannot be decided now is logged,
    and looked at again at the next start."""
    await _resolve_all(store, janitor.targets(), repairer)
    for device in list(store.devices.values()):
        await resolve_of(device, store, repairer)


async def resolve_of(device: DevicePort, store: DeviceStore, repairer: Repairer) -> None:
    """The same of what one device found in its log, which is back."""
    after = b""
    try:
        while page := await device.in_doubt(after, PAGE):
            await _resolve_all(store, await _keys(device, page), repairer)
            after = page[-1]
    except DrystoneError as error:
        log.warning("in-doubt writes of a device cannot be read", device=device.id, error=str(error))


async def _keys(device: DevicePort, page: list[bytes]) -> list[RowKey]:
    """The keys of rows that are still there. An entry that is damaged is left out: its other replicas have it."""
    keys = []
    for packed in page:
        try:
            row = await device.find_row(packed)
        except DamageError:
            continue
        if row is None or row.name[:1] == SYSTEM:
            device.forget_in_doubt(packed)
        else:
            keys.append(parse_key(packed, row.name))
    return keys


async def _resolve_all(store: DeviceStore, keys: Iterable[RowKey], repairer: Repairer) -> None:
    waiting = iter(keys)

    async def work() -> None:
        for key in waiting:
            try:
                await _resolve(store, key, repairer)
            except DrystoneError as error:
                log.warning("a write of unknown outcome is still in doubt", error=str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)


async def _resolve(store: DeviceStore, key: RowKey, repairer: Repairer) -> None:
    packed = index_key(key)
    row, asked = await store.rows.resolve(key, packed)
    if row is not None and row.data_id:
        repairer.add(key)
    for device in asked:
        if device.failed is None:
            device.forget_in_doubt(packed)
