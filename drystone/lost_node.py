"""Who a node is, where its data folder was lost, or the registry is of before it joined: from a snapshot.

A snapshot has the authority, by which a new certificate is made; the registry is told of it, and the one before is
revoked.
"""

from __future__ import annotations

import datetime

import trio

from drystone.cluster import Cluster, save_cluster
from drystone.etcd_node import client_url
from drystone.folder import DataFolder
from drystone.node_identity import NodeIdentity, credentials_of, save_identity
from drystone.node_records import (
    AUTHORITY_CODEC,
    AUTHORITY_KEY,
    NODE_CODEC,
    NODE_PREFIX,
    REVOKED_PREFIX,
    NodeRecord,
    State,
    find_node,
    node_key,
    put_revoked,
    split_address,
)
from drystone.registry_snapshot import Snapshot
from store.core.clock import Clock
from store.core.errors import NotFoundError
from store.registry import Put, Registry
from store.wire.authority import issue, revoke, serial_of


def become(
    folder: DataFolder, snapshot: Snapshot, cluster: Cluster, name: str, clock: Clock, *, in_etcd: bool
) -> NodeIdentity:
    """Have the folder be this node of the snapshot, which is to have the registry. Raises NotFoundError."""
    items = dict(snapshot.items)
    if AUTHORITY_KEY not in items:
        raise NotFoundError("the snapshot is of a machine alone, which has no name")
    if node_key(name) not in items:
        names = sorted(key.removeprefix(NODE_PREFIX).decode() for key in items if key.startswith(NODE_PREFIX))
        raise NotFoundError(f"there is no node {name} in the snapshot: {', '.join(names)}")
    authority, record = AUTHORITY_CODEC.decode(items[AUTHORITY_KEY]), NODE_CODEC.decode(items[node_key(name)])
    now = datetime.datetime.fromtimestamp(clock.wall_us() / 1e6, datetime.UTC)
    own = issue(authority, name, cluster.id.hex(), now, split_address(record.address)[0])
    serials = {key.removeprefix(REVOKED_PREFIX).decode() for key in items if key.startswith(REVOKED_PREFIX)}
    identity = NodeIdentity(
        name, record.address, record.region, record.zone, record.machine,
        "" if in_etcd else name, "" if in_etcd else record.address,
        (client_url(record.address),) if in_etcd else (),
    )  # fmt: skip
    revoked = revoke(authority, serials | {record.serial}, now)
    save_identity(folder, identity, authority.certificate, own.certificate, own.key, revoked)
    save_cluster(folder, cluster)
    return identity


async def say_self(folder: DataFolder, identity: NodeIdentity, registry: Registry, clock: Clock) -> None:
    """Have the registry know this node by the certificate that it has."""
    known = (await find_node(registry, identity.name)).record
    serial = serial_of(await trio.Path(credentials_of(folder).certificate).read_bytes())
    if known is not None and known.serial == serial:
        return
    record = NodeRecord(
        identity.address, identity.region, identity.zone, identity.machine, State.MEMBER, serial, clock.wall_us()
    )
    before = [put_revoked(known.serial)] if known is not None else []
    await registry.transact([], [Put(node_key(identity.name), NODE_CODEC.encode(record)), *before])
