"""What a registry that was recovered says of the ring, brought up to what devices know.

Every device keeps the ring, and what the registry said of devices (see `device_copies`), and has it before anybody uses
it. A registry from before may know an older one: by that data would be looked for where they are no more. The epoch
goes far up in any case, so that no device refuses it, and everybody reads the ring anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from drystone.cluster import Cluster
from drystone.device_records import DeviceRecord, load_records, save_records
from drystone.folder import DataFolder
from drystone.found_devices import Found, find
from drystone.layouts import STAGED_KEY, load_ring, save_ring
from store.core.errors import DamageError, DeviceError, NotFoundError
from store.engine.folder import find_superblock
from store.registry import Delete, Registry
from store.ring import Ring

EPOCHS: Final = 1 << 20
"""More than are counted between a snapshot and a loss."""


async def bring_up(
    folder: DataFolder, cluster: Cluster, registry: Registry, node: str, paths: Iterable[str]
) -> list[str]:
    """Have the registry know the newest ring that any device here knows. Returns what to tell the operator. Raises
    DamageError where there is none at all."""
    stored = await load_ring(registry, cluster.key)
    records = await load_records(registry)
    labels = (folder.device(record.label) for record in records.values() if record.node == node)
    found = _find(folder, [*paths, *(path for path in labels if _is_device(path))])
    if found is None and stored.ring is None:
        raise DamageError("neither the snapshot nor any device here has a ring")
    known = stored.ring
    said = [] if found is None else list(found.said)
    if found is not None and (known is None or _order(found.copy.ring) >= _order(known)):
        if known is None or found.copy.ring.newest.version > known.newest.version:
            await registry.transact([], [Delete(STAGED_KEY)])  # most likely made since
        known = found.copy.ring
        await save_records(registry, _newer(records, found.copy.records))
        said.append(f"The ring is that of the devices here: layout {known.newest.version}.")
    else:
        assert known is not None
        said.append(
            f"The ring is layout {known.newest.version}: no device was found here that knows a newer one. A node whose "
            "devices do will say so, and not use them: recover there, then, instead of here."
        )
    if found is not None:
        await _put_labels(folder, registry, node, found)
    # The snapshot may be older than the devices' last openings: any is believed once.
    await save_records(registry, {n: replace(each, opening=b"") for n, each in (await load_records(registry)).items()})
    enforced = max((each.enforced for each in found.superblocks.values()), default=0) if found is not None else 0
    epoch = max(known.epoch, enforced, stored.ring.epoch if stored.ring is not None else 0) + EPOCHS
    await save_ring(registry, Ring(cluster.key, known.live, replace(known.progress, epoch=epoch)), stored.revision)
    return said


async def _put_labels(folder: DataFolder, registry: Registry, node: str, found: Found) -> None:
    """The devices of this node lie where they were found."""
    records = await load_records(registry)
    here = {
        number: replace(records[number], label=folder.label(path))
        for number, path in found.folders.items()
        if number in records and records[number].node == node
    }
    await save_records(registry, here)


def _order(ring: Ring) -> tuple[int, int]:
    return ring.newest.version, ring.epoch


def _newer(before: Mapping[int, DeviceRecord], copied: Mapping[int, DeviceRecord]) -> dict[int, DeviceRecord]:
    """What the copies say, which are newer. A device that either does not believe is not believed."""
    return {
        number: replace(record, in_sync=record.in_sync and not _doubted(before.get(number), record))
        for number, record in copied.items()
    }


def _doubted(before: DeviceRecord | None, record: DeviceRecord) -> bool:
    return before is not None and before.incarnation == record.incarnation and not before.in_sync


def _find(folder: DataFolder, paths: list[str]) -> Found | None:
    try:
        return find(folder, paths)
    except (NotFoundError, DamageError):
        return None


def _is_device(path: str) -> bool:
    try:
        find_superblock(os.path.abspath(path))
    except DeviceError:
        return False
    return True
