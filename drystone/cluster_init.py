"""`drystone cluster init`: the first node of a cluster of several, in a new data folder or in one that is in use.

The registry says first that there is an authority, then the folder says which node it is. What dies in between is made
anew by the same command: as long as the folder does not say so, nobody else can have joined.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import trio
from xxhash import xxh3_64_intdigest

from drystone.cluster import Cluster, read_cluster
from drystone.device_records import load_records, put_record
from drystone.folder import DataFolder
from drystone.founding import Wish
from drystone.join_service import MACHINE_MAX
from drystone.layouts import load_ring
from drystone.node_identity import NodeIdentity, find_identity, save_identity
from drystone.node_records import (
    AUTHORITY_CODEC,
    AUTHORITY_KEY,
    NODE_CODEC,
    NodeRecord,
    State,
    check_name,
    find_authority,
    load_nodes,
    node_key,
    split_address,
)
from drystone.worker_places import PORTS_BEHIND, PROCESSES_MAX
from store.core.beside import beside
from store.core.clock import Clock
from store.core.errors import ConflictError, InvalidError
from store.registry import Delete, Operation, Put, Registry, open_embedded
from store.registry.operations import OPERATIONS_MAX
from store.wire.authority import Identity, issue, make_authority, revoke, serial_of

FIRST_PORT, LAST_PORT = 7400, 32000
"""Below those that the kernel gives to whoever dials."""


def check_init(folder: DataFolder, identity: NodeIdentity) -> None:
    """Raises InvalidError, ConflictError for what cannot be the first node; nothing is changed."""
    check_name(identity.name)
    split_address(identity.address)
    if not 1 <= len(identity.machine) <= MACHINE_MAX:
        raise InvalidError(f"the name of a machine has 1 to {MACHINE_MAX} characters")
    if identity.etcd and shutil.which("etcd") is None:
        raise InvalidError("there is no program etcd: install the package etcd-server, or leave --registry out")
    known = find_identity(folder)
    if known is not None:
        raise ConflictError(
            f"{folder.path} is node {known.name} of a cluster already: 'drystone cluster token' lets others join"
        )


async def first_of_one_machine(folder: DataFolder, count: int) -> NodeIdentity:
    """The node of a machine alone that is to have so many processes: they reach each other, and nobody else reaches
    them. Raises InvalidError where no ports are free."""
    spans = range(FIRST_PORT, LAST_PORT, PROCESSES_MAX + 8)
    begin = xxh3_64_intdigest(folder.path.encode()) % len(spans)  # two that start at once take others
    for port in (*spans[begin:], *spans[:begin]):
        with suppress(OSError):
            for taken in range(port, port + count + PORTS_BEHIND + 1):
                for listener in await trio.open_tcp_listeners(taken, host="127.0.0.1"):
                    await listener.aclose()
            address = f"127.0.0.1:{port}"
            return NodeIdentity("n1", address, 1, 1, Wish().machine, "n1", address)
    raise InvalidError("no free ports on 127.0.0.1: make the node yourself, with 'drystone cluster init --listen'")


async def init_cluster(folder: DataFolder, identity: NodeIdentity, clock: Clock) -> None:
    """Make the folder's node the first of a cluster. Raises ConflictError where a process serves it."""
    check_init(folder, identity)
    cluster = read_cluster(folder)
    with open_embedded(folder.registry, clock) as registry:
        async with beside(registry.run):
            await _check_records(registry, cluster)
            authority, own = await _register(registry, cluster, identity, clock)
    now = datetime.datetime.fromtimestamp(clock.wall_us() / 1e6, datetime.UTC)
    revoked = revoke(authority, (), now)
    save_identity(folder, identity, authority.certificate, own.certificate, own.key, revoked)


async def _check_records(registry: Registry, cluster: Cluster) -> None:
    """Raises ConflictError for devices of a version that noted nothing of them."""
    stored = await load_ring(registry, cluster.key)
    known = await load_records(registry)
    if stored.ring is None or stored.ring.devices.keys() - known.keys():
        raise ConflictError("the devices of this folder have not been seen by this version: start it once with 'up'")


async def _register(
    registry: Registry, cluster: Cluster, identity: NodeIdentity, clock: Clock
) -> tuple[Identity, Identity]:
    now_us = clock.wall_us()
    now = datetime.datetime.fromtimestamp(now_us / 1e6, datetime.UTC)
    cluster_id = cluster.id.hex()
    authority = await find_authority(registry) or make_authority(cluster_id, now)
    own = issue(authority, identity.name, cluster_id, now, split_address(identity.address)[0])
    record = NodeRecord(
        identity.address, identity.region, identity.zone, identity.machine,
        State.MEMBER, serial_of(own.certificate), now_us,
    )  # fmt: skip
    unfinished = [Delete(node_key(name)) for name in await load_nodes(registry) if name != identity.name]
    await _transact(
        registry,
        [
            Put(AUTHORITY_KEY, AUTHORITY_CODEC.encode(authority)),
            *unfinished,
            Put(node_key(identity.name), NODE_CODEC.encode(record)),
        ],
    )
    await _transact(
        registry,
        [
            put_record(number, replace(device, node=identity.name))
            for number, device in (await load_records(registry)).items()
        ],
    )
    return authority, own


async def _transact(registry: Registry, operations: Sequence[Operation]) -> None:
    for start in range(0, len(operations), OPERATIONS_MAX):
        await registry.transact([], operations[start : start + OPERATIONS_MAX])
