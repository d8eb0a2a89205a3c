"""One process of a cluster: its registry, ring, devices and store, and the loops that keep their promises.

`open_node` brings a data folder up and takes it down again; what it yields serves requests. Everything is found in the
folder; nothing is configured twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio

from drystone.folder import Cluster, DataFolder
from drystone.layouts import STATE_KEY, Stored, load_ring, save_ring, step_ring
from drystone.local_device import open_local_device
from store.core.clock import Clock, SystemClock
from store.core.entropy import PooledRandom
from store.core.errors import DeviceError, DrystoneError
from store.core.stamp import StampSource
from store.core.worker import ThreadWorker
from store.engine.device import Device
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.registry import Registry, Span, open_embedded
from store.replicator.progress import ProgressTable
from store.replicator.replicator import Replicator
from store.ring import Builder, Ring

log = structlog.get_logger()

HASH_WORKERS = 2
"""Threads for MD5, checksums and erasure codes: these let go of the interpreter's lock, so two use two cores."""
SEED = 0
"""Of the first layout. Any will do; the same for everyone makes rings of like clusters comparable."""


@dataclass
class Node:
    """What serves requests, and what tells about it."""

    folder: DataFolder
    cluster: Cluster
    registry: Registry
    ring: Ring
    devices: dict[int, Device]
    store: DeviceStore
    progress: ProgressTable
    clock: Clock
    stack: ExitStack
    """What is closed with the node: devices' locks."""
    replicator: Replicator
    missing: dict[int, str] = field(default_factory=dict)
    """Devices that could not be opened, and why."""


@asynccontextmanager
async def open_node(folder: DataFolder, cluster: Cluster, new_devices: int) -> AsyncIterator[Node]:
    """Bring a folder's node up. `new_devices` are made if the folder has no ring yet.

    Raises ConflictError where another process serves the folder.
    """
    clock, random = SystemClock(), PooledRandom()
    with ExitStack() as stack:
        registry = stack.enter_context(open_embedded(folder.registry, clock))
        stored = await load_ring(registry, cluster.key)
        made = stored.ring is None
        ring = stored.ring or _first_ring(cluster, new_devices)
        devices, missing = await _open_devices(folder, cluster, ring, stack, fresh=made)
        ring = await _with_widths(registry, cluster, stored, ring)
        stamps = StampSource(clock, int.from_bytes(random.bytes(4)))
        workers = [ThreadWorker(f"hash-{number}") for number in range(HASH_WORKERS)]
        store = DeviceStore(Rows(ring, devices, stamps), devices, cluster.policies, clock, random, workers)
        progress = ProgressTable(clock)
        replicator = Replicator(store, registry, clock, progress, partial(step_ring, registry, cluster.key))
        node = Node(folder, cluster, registry, ring, devices, store, progress, clock, stack, replicator, missing)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(registry.run)
                await _start_loops(node, nursery)
                yield node
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                for device in devices.values():
                    await _close(device)
            for worker in workers:
                worker.close()


async def _start_loops(node: Node, nursery: trio.Nursery) -> None:
    """Start the loops of the devices and of the replicator."""
    for device in node.devices.values():
        await nursery.start(device.run)
    await node.replicator.start(nursery)
    nursery.start_soon(_follow_ring, node, nursery)


async def _follow_ring(node: Node, nursery: trio.Nursery) -> None:
    """Take up every change of the ring: open devices that are new, then use the new ring."""
    revision = await node.registry.revision()
    await _take_up(node, nursery)
    async with node.registry.watch(Span.key(STATE_KEY), revision + 1) as events:
        async for _ in events:
            await _take_up(node, nursery)


async def _take_up(node: Node, nursery: trio.Nursery) -> None:
    stored = await load_ring(node.registry, node.cluster.key)
    if stored.ring is None or stored.ring.epoch <= node.store.rows.ring.epoch:
        return
    for number, known in sorted(stored.ring.devices.items()):
        if number in node.devices:
            continue
        path = node.folder.device(known.label)
        try:
            device = await open_local_device(number, node.cluster.id, path, node.stack, replaces=True)
        except (DrystoneError, OSError) as error:
            node.missing[number] = str(error)
            log.warning("device not opened", device=number, path=path, error=str(error))
            continue
        node.devices[number] = device
        await nursery.start(device.run)
        with suppress(DrystoneError):  # else later: it takes writes meanwhile
            await node.replicator.reconciler.reconcile(device)
        await node.replicator.back(device)
    node.ring = stored.ring
    await node.replicator.rebalancer.follow(stored.ring)


async def _close(device: Device) -> None:
    try:
        await device.close()
    except DrystoneError as error:
        # What was acknowledged is in the log; the next start reads it again.
        log.warning("device not closed cleanly", device=device.id, error=str(error))


def _first_ring(cluster: Cluster, new_devices: int) -> Ring:
    builder = Builder()
    for number in range(new_devices):
        builder.add(region=1, zone=1, machine="localhost", weight=1.0, label=f"devices/{number}")
    for width in {policy.width for policy in cluster.policies}:
        builder.add_width(width)
    return Ring(cluster.key, (builder.rebalance(SEED),))


async def _with_widths(registry: Registry, cluster: Cluster, stored: Stored, ring: Ring) -> Ring:
    """The ring with a table for every policy, stored. A new table moves nothing."""
    wanted = {policy.width for policy in cluster.policies} - set(ring.newest.widths)
    if stored.ring is None:
        await save_ring(registry, ring, 0)
    elif wanted:
        builder = Builder(ring.newest)
        for width in sorted(wanted):
            builder.add_width(width)
        layout = builder.rebalance(SEED)
        same = all(layout.tables[width] == table for width, table in ring.newest.tables.items())
        ring = ring.publish(layout)
        if same:
            # Nothing that is stored has another home now, so every device has all that it should.
            for device in layout.devices:
                ring = ring.mark_synced(layout.version, device).mark_enforced(device, ring.epoch)
        await save_ring(registry, ring, stored.revision)
    return ring


async def _open_devices(
    folder: DataFolder, cluster: Cluster, ring: Ring, stack: ExitStack, *, fresh: bool
) -> tuple[dict[int, Device], dict[int, str]]:
    """Open every device of the ring. One that cannot be opened is left out, and said."""
    devices: dict[int, Device] = {}
    missing: dict[int, str] = {}
    for number, device in sorted(ring.devices.items()):
        path = folder.device(device.label)
        try:
            devices[number] = await open_local_device(number, cluster.id, path, stack, replaces=not fresh)
        except (DrystoneError, OSError) as error:
            missing[number] = str(error)
            log.warning("device not opened", device=number, path=path, error=str(error))
    if not devices:
        raise DeviceError(f"none of the {len(ring.devices)} devices can be opened: {missing}")
    return devices, missing


def device_rows(node: Node) -> Sequence[dict[str, object]]:
    """What status and metrics show of each device."""
    rows: list[dict[str, object]] = []
    for number, known in sorted(node.ring.devices.items()):
        row: dict[str, object] = {"device": number, "label": known.label, "weight": known.weight}
        device = node.devices.get(number)
        if device is None:
            rows.append({**row, "state": "missing", "why": node.missing.get(number, "")})
            continue
        failed = device.health.failed
        state = "out" if failed else "full" if device.full else "ok" if device.trusted else "reconciling"
        rows.append(
            {
                **row,
                "state": state,
                "why": str(failed) if failed else "",
                "free_bytes": device.free_bytes(),
                "live_bytes": sum(device.space.live.values()),
                "damages": device.health.damages,
                "syncs": device.syncs,
                "commits": device.commits[0],
                "records": device.commits[1],
            }
        )
    return rows
