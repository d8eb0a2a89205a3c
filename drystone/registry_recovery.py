"""`drystone registry recover`: which way back there is, and the one from a snapshot where the registry is embedded."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, replace
from enum import Enum, auto

from drystone import etcd_recovery
from drystone.cluster import read_cluster
from drystone.control_client import serving
from drystone.folder import CLUSTER_FILE, DataFolder
from drystone.found_devices import find
from drystone.kept_snapshots import newest_kept
from drystone.lost_node import become, say_self
from drystone.node_identity import NodeIdentity, clear_identity, find_identity
from drystone.recovered_ring import bring_up
from drystone.recovery import need_all, new_registry, recover_from_devices
from drystone.registry_snapshot import Snapshot, put_all, read_snapshot
from store.core.clock import SystemClock
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry.interface import GENERATION


class Source(Enum):
    """What the registry is to be made of. `ANY`: the best that there is, where there is one to choose."""

    ANY = auto()
    SURVIVOR = auto()
    FILE = auto()
    DEVICES = auto()
    NO_SNAPSHOT = auto()
    NODE = auto()


@dataclass(frozen=True)
class Wish:
    """`where` is the file of a snapshot, or the address of a node. `paths` are folders of devices."""

    source: Source
    where: str
    paths: tuple[str, ...]
    project_id: str | None
    accept_missing: bool
    name: str | None = None
    """Of the node that this folder is to be, where it does not say so itself."""
    in_etcd: bool = True
    """Whether that node is to have the registry in etcd."""


async def recover(folder: DataFolder, wish: Wish) -> list[str]:
    """Returns what to tell the operator. Raises DrystoneError, saying what to do; then nothing was changed."""
    if serving(folder):
        raise ConflictError(f"{folder.path} is being served: stop that first")
    identity = find_identity(folder)
    if wish.name is not None:
        return await _as_node(folder, identity, wish.name, wish)
    if identity is not None and identity.etcd:
        return await _in_etcd(folder, identity, wish)
    if wish.source in (Source.SURVIVOR, Source.NODE):
        raise InvalidError("the registry of this folder is not in etcd")
    elsewhere = identity is not None and not identity.owns_registry
    if elsewhere and wish.source in (Source.FILE, Source.DEVICES):
        assert identity is not None
        raise InvalidError(f"node {identity.registry} has the registry: recover it there")
    wanted = wish.source in (Source.FILE, Source.DEVICES) or (wish.source is Source.ANY and not folder.has_registry)
    snapshot = _snapshot(folder, wish) if wanted and not elsewhere else None
    if snapshot is None:
        return await recover_from_devices(folder, wish.paths, wish.project_id, accept_missing=wish.accept_missing)
    return await _embedded(folder, identity, snapshot, wish)


async def _as_node(folder: DataFolder, identity: NodeIdentity | None, name: str, wish: Wish) -> list[str]:
    """The way back where the folder, too, is lost."""
    if identity is not None:
        raise InvalidError(f"this is node {identity.name}: leave --name out")
    if wish.source not in (Source.FILE, Source.DEVICES):
        raise InvalidError("--name goes with --from-snapshot or --from-devices")
    if not wish.accept_missing:
        raise NotFoundError(
            "which nodes are left cannot be told without this one's data folder. If all that have the registry are "
            "lost for good, and all others are stopped, --accept-missing goes on"
        )
    snapshot = _snapshot(folder, wish)
    assert snapshot is not None
    found = find(folder, wish.paths)
    _need_of(snapshot, found.cluster.id)
    os.makedirs(folder.path, mode=0o700, exist_ok=True)
    had_cluster = os.path.exists(folder.at(CLUSTER_FILE))  # noqa: ASYNC240
    become(folder, snapshot, found.cluster, name, SystemClock(), in_etcd=wish.in_etcd)
    try:
        return await recover(folder, replace(wish, name=None))
    except BaseException:
        clear_identity(folder)
        if not had_cluster:
            os.unlink(folder.at(CLUSTER_FILE))
        raise


async def _in_etcd(folder: DataFolder, identity: NodeIdentity, wish: Wish) -> list[str]:
    accept = wish.accept_missing
    match wish.source:
        case Source.SURVIVOR:
            return await etcd_recovery.from_survivor(folder, identity, wish.paths, accept_missing=accept)
        case Source.FILE | Source.DEVICES:
            snapshot = _snapshot(folder, wish)
            assert snapshot is not None
            _need_of(snapshot, read_cluster(folder).id)
            said = await etcd_recovery.from_snapshot(folder, identity, snapshot, wish.paths, accept_missing=accept)
            return [_told(snapshot), *said]
        case Source.NODE:
            return await etcd_recovery.at(folder, identity, wish.where)
        case _ if os.path.exists(folder.at(CLUSTER_FILE)):  # noqa: ASYNC240
            raise InvalidError(
                f"this is node {identity.name}, and the registry is in etcd ({', '.join(identity.etcd)}). Where etcd "
                "has lost its majority for good: --from-survivor on a node whose etcd is left, else --from-devices or "
                "--from-snapshot FILE on any. Devices alone have the ring and all objects, but not who is a node, the "
                "cluster's authority, users and projects: without a snapshot a cluster is not made of them"
            )
        case _:
            return await recover_from_devices(folder, wish.paths, None, accept_missing=accept)


def _snapshot(folder: DataFolder, wish: Wish) -> Snapshot | None:
    """None where none is asked for, and there is none."""
    if wish.source is Source.FILE:
        return read_snapshot(wish.where)
    found = find(folder, wish.paths)
    newest = newest_kept(found.folders.values(), found.cluster.id)
    if newest is None and wish.source is Source.DEVICES:
        raise NotFoundError(
            "no device that was found here has a snapshot of the registry: name others with --device PATH, or a file "
            "with --from-snapshot"
        )
    return newest


async def _embedded(folder: DataFolder, identity: NodeIdentity | None, snapshot: Snapshot, wish: Wish) -> list[str]:
    if folder.has_registry:
        raise InvalidError(f"the registry is there: move {folder.registry} away first")
    if wish.project_id is not None:
        raise InvalidError("projects are as the snapshot has them: --project-id goes with --without-snapshot")
    node = "" if identity is None else identity.name
    found = find(folder, wish.paths)
    _need_of(snapshot, found.cluster.id)
    need_all(found, node, accept_missing=wish.accept_missing)
    async with new_registry(folder, found.cluster, snapshot.revision + GENERATION) as registry:
        await put_all(registry, snapshot.items)
        if identity is not None:
            await say_self(folder, identity, registry, SystemClock())
        said = await bring_up(folder, found.cluster, registry, node, wish.paths)
    return [_told(snapshot), *said]


def _need_of(snapshot: Snapshot, cluster: bytes) -> None:
    if snapshot.cluster != cluster:
        raise ConflictError(f"the snapshot is of cluster {snapshot.cluster.hex()}, and this is {cluster.hex()}")


def _told(snapshot: Snapshot) -> str:
    taken = datetime.datetime.fromtimestamp(snapshot.taken_us / 1e6, datetime.UTC)
    return (
        f"The registry is that of {taken:%Y-%m-%d %H:%M:%S} UTC. What was written to it later is lost: users, projects "
        "and passwords are as they were then; a node that was removed since is to be removed again."
    )
