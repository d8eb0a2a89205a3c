"""One process of a cluster: its registry, ring, devices and store, and the loops that keep their promises.

`open_node` brings a data folder up and takes it down again; what it yields serves requests. Everything is found in the
folder; nothing is made here that should be there, and nothing is configured twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio

from drystone.cluster import Cluster, save_cluster
from drystone.cluster_process import ClusterProcess, open_registry_of
from drystone.device_records import PREFIX, RECORDS
from drystone.device_watch import DeviceWatch
from drystone.folder import DataFolder
from drystone.founding import SEED
from drystone.kept_snapshots import KeptSnapshots
from drystone.layouts import STATE_KEY, load_newer, load_ring, save_ring, step_ring
from drystone.links import Links
from drystone.listener import listen
from drystone.membership import Membership
from drystone.node_identity import find_identity
from drystone.node_records import find_authority
from drystone.registry_health import RegistryHealth
from drystone.worker_devices import spread_devices
from store.core.clock import Clock, SystemClock
from store.core.entropy import PooledRandom, Random
from store.core.errors import DamageError, DeviceError, DrystoneError, InvalidError, NewerError
from store.core.stamp import StampSource
from store.core.worker import ThreadWorker
from store.device.port import DevicePort
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.registry import Event, Registry, Span
from store.registry.follow import follow
from store.replicator.progress import ProgressTable
from store.replicator.replicator import Replicator
from store.replicator.upload_janitor import OnlyOne
from store.ring import Builder, Ring

log = structlog.get_logger()

HASH_WORKERS = 2
"""Threads for MD5, checksums and erasure codes: these let go of the interpreter's lock, so two use two cores."""


@dataclass
class Node:
    """What serves requests, and what tells about it."""

    folder: DataFolder
    cluster: Cluster
    registry: Registry
    watch: DeviceWatch
    membership: Membership
    store: DeviceStore
    progress: ProgressTable
    clock: Clock
    replicator: Replicator
    snapshots: KeptSnapshots
    health: RegistryHealth
    together: ClusterProcess | None
    """What this process has of the others; None on a machine alone."""
    began: float = field(default_factory=time.monotonic)

    @property
    def ring(self) -> Ring:
        return self.store.rows.ring

    @property
    def devices(self) -> dict[int, DevicePort]:
        """Those of this process."""
        return self.watch.devices

    @property
    def on_device_back(self) -> list[Callable[[int], None]]:
        """Called with the number of a device that was out or missing, and serves again."""
        return self.watch.on_back


@asynccontextmanager
async def open_node(folder: DataFolder, cluster: Cluster, known: Cluster, processes: int) -> AsyncIterator[Node]:
    """Bring a folder's node up. `known` is the cluster as it is stored; `cluster` has more policies, or is the same.
    `processes` are to share the devices of the folder, this one with them; 0: that is another one's to decide.

    Raises ConflictError where another process serves the folder, or this node is a member no more; DamageError where it
    has no ring, InvalidError where the ring has too few devices for a policy: then nothing is changed.
    """
    clock, random = SystemClock(), PooledRandom()
    identity = find_identity(folder)
    if identity is not None and cluster != known:
        raise InvalidError("policies are for all nodes: they cannot be added to a cluster of several yet")
    links = None if identity is None else Links(folder, cluster, identity)
    listeners = [] if identity is None else await listen(identity.address)
    try:
        async with open_registry_of(folder, clock, links, worker=not processes) as registry:
            if links is None:
                await _need_alone(folder, registry)
                together = None
            else:
                together = ClusterProcess(folder, cluster, registry, links, listeners, clock, random)
                await together.load()
                if processes:
                    await spread_devices(registry, links.identity, processes)
            async with _opened(folder, cluster, known, registry, clock, random, together) as node:
                yield node
    finally:
        for listener in listeners:
            listener.socket.close()


@asynccontextmanager
async def _opened(
    folder: DataFolder,
    cluster: Cluster,
    known: Cluster,
    registry: Registry,
    clock: Clock,
    random: Random,
    together: ClusterProcess | None,
) -> AsyncIterator[Node]:
    stored = await load_ring(registry, cluster.key)
    if stored.ring is None:
        raise DamageError(folder.lost("ring"))
    ring = _with_widths(stored.ring, cluster)
    name = "" if together is None else together.identity.name
    membership = Membership(folder, cluster, registry, ring, random, name)
    await membership.load()
    watch = DeviceWatch(membership.open, everyones=None if together is None else together.everyones)
    devices = watch.devices if together is None else together.everyones
    workers = [ThreadWorker(f"hash-{number}") for number in range(HASH_WORKERS)]
    try:
        await watch.open_all(membership.own)
        if not watch.devices and together is None:
            raise DeviceError(_none_opened(watch))
        if ring is not stored.ring:
            await save_ring(registry, ring, stored.revision)
        if cluster != known:
            save_cluster(folder, cluster)
        await membership.note_absent()
        await membership.keep()
        stamps = StampSource(clock, int.from_bytes(random.bytes(4)))
        rows = Rows(
            ring, devices, stamps, alone=together is None, distances={} if together is None else together.distances
        )
        store = DeviceStore(rows, devices, cluster.policies, clock, random, workers, watch.devices)
        progress = ProgressTable(clock)

        async def step(change: Callable[[Ring], Ring]) -> Ring:
            changed = await step_ring(registry, cluster.key, change)
            membership.know(changed)
            await membership.keep()  # before anybody uses it: no device is to be found with an older one
            return changed

        lives = OnlyOne(store.life) if together is None else together.lives
        replicator = Replicator(store, registry, clock, progress, step, lives, name)
        watch.on_open = replicator.listen
        loop = progress.loop("registry snapshot")
        snapshots = KeptSnapshots(registry, cluster.id, clock, lambda: membership.folders, loop)
        node = Node(
            folder, cluster, registry, watch, membership, store, progress, clock, replicator, snapshots,
            RegistryHealth(registry), together,
        )  # fmt: skip
        async with trio.open_nursery() as nursery:
            await _start_loops(node, nursery)
            yield node
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await watch.close()
        for worker in workers:
            worker.close()


async def _need_alone(folder: DataFolder, registry: Registry) -> None:
    """Raises DamageError for a folder that was a member's, and does not know any more which."""
    if await find_authority(registry) is not None:
        raise DamageError(
            f"{folder.path} is of a cluster of several nodes, but its folder 'node' is missing. Nothing was changed. "
            "If it was the first: 'drystone cluster init', with its name and address, makes it anew"
        )


def _none_opened(watch: DeviceWatch) -> str:
    reasons = "".join(f"\n  device {number}: {why}" for number, why in sorted(watch.missing.items()))
    return f"none of the {len(watch.missing)} devices can be opened:{reasons}"


def _with_widths(ring: Ring, cluster: Cluster) -> Ring:
    """The ring with a table for every policy. A new table moves nothing."""
    wanted = {policy.width for policy in cluster.policies} - set(ring.newest.widths)
    if wanted:
        builder = Builder(ring.newest)
        for width in sorted(wanted):
            builder.add_width(width)
        layout = builder.rebalance(SEED)
        same = all(layout.tables[width] == table for width, table in ring.newest.tables.items())
        ring = ring.publish(layout)
        if same:
            # Nothing that is stored has another replica now, so every device has all that it should.
            for device in layout.devices:
                ring = ring.mark_synced(layout.version, device)
    return ring


async def _start_loops(node: Node, nursery: trio.Nursery) -> None:
    """Start the loops of the devices and of the replicator."""
    await nursery.start(node.watch.run)
    nursery.start_soon(node.membership.run)
    nursery.start_soon(node.progress.run)
    if node.together is not None:
        _meet(node, node.together, nursery)
        await node.together.start(nursery)
    await node.replicator.start(nursery)
    nursery.start_soon(node.snapshots.run)
    nursery.start_soon(node.health.run)
    node.on_device_back.append(lambda number: nursery.start_soon(node.replicator.back, node.devices[number]))
    nursery.start_soon(_follow_ring, node)
    nursery.start_soon(_follow_records, node)


def _meet(node: Node, together: ClusterProcess, nursery: trio.Nursery) -> None:
    """Have the devices of others, and let them have ours."""
    replicator = node.replicator
    together.serve(
        node.watch.devices,
        node.store.life,
        node.store.pins,
        on_back=lambda device: nursery.start_soon(replicator.back, device),
        on_in_doubt=replicator.in_doubt.wake,
        follow=partial(_follow_places, node),
    )
    replicator.on_flush = together.service.note_late
    together.lives.on_over = replicator.gone
    _follow_places(node)


def _follow_places(node: Node) -> None:
    """Ask each device of another node where it is now."""
    if node.together is not None:
        node.together.peers.follow(node.together.members.others, node.membership.places)


async def _follow_ring(node: Node) -> None:
    """Take up every change of the ring: open devices that are new, then use the new ring."""

    async def again(_event: Event) -> None:
        await _take_up(node)

    await follow(node.registry, Span.key(STATE_KEY), partial(_take_up, node), again)


async def _take_up(node: Node) -> None:
    ring = await load_newer(node.registry, node.cluster.key, node.ring)
    if ring is None:
        return
    if ring.epoch == node.ring.epoch:  # what devices have said: all else is as it was
        await node.replicator.rebalancer.follow(ring)
        return
    node.membership.know(ring)
    await node.membership.load()
    _follow_places(node)
    new = [number for number in node.membership.own if number not in node.devices]
    await node.watch.open_all(new)
    await node.membership.keep()
    for number in new:
        if number in node.devices:
            with suppress(DrystoneError):  # else later: it takes writes meanwhile
                await node.replicator.rejoiner.rejoin(node.devices[number])
            await node.replicator.back(node.devices[number])
    await node.replicator.rebalancer.follow(ring)


async def _follow_records(node: Node) -> None:
    """A device that is out or missing is tried at once when the registry hears of a new one in its place. In a cluster
    it may be on another node from then on."""

    async def anew() -> None:
        """Devices are tried again by themselves, too."""
        if node.together is not None:
            try:
                await node.membership.load()
            except NewerError as error:  # while nodes are upgraded one by one
                log.warning("what is known of devices stays as it was", why=str(error))
            else:
                await _give_up_others(node)

    async def retry(event: Event) -> None:
        number = int(event.key.removeprefix(PREFIX))
        await anew()
        if number in node.ring.devices and node.membership.is_own(number):
            node.watch.retry(number)

    await follow(node.registry, RECORDS, anew, retry)


async def _give_up_others(node: Node) -> None:
    """Leave devices to the nodes that have them now."""
    for number in {*node.watch.devices, *node.watch.missing}:
        if not node.membership.is_own(number):
            await node.watch.leave(number)
    _follow_places(node)
