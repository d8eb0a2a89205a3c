"""The first start: making all of a data folder, or nothing.

Everything is checked before anything is written. While things are made a file `first-start` lies in the folder, locked
by who makes them; where one is left behind, the start before has died on its way, nobody was ever served, and what it
had made is taken away again. A folder in which something is there and something is missing is never completed: what is
missing was lost, and `drystone registry recover` finds it on the devices.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby

import trio

from authn.bootstrap import bootstrap
from drystone import clients
from drystone.cluster import Cluster, new_cluster, save_cluster, with_policies
from drystone.device_copies import RingCopy
from drystone.device_folder import check_new, check_room, clear_made, make_in
from drystone.device_records import DeviceRecord, save_records
from drystone.folder import CLUSTER_FILE, DataFolder, sync_folder
from drystone.layouts import save_ring
from drystone.node_identity import clear_identity, find_identity
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, DamageError, InvalidError
from store.engine.options import Options
from store.registry import open_embedded
from store.ring import Builder, Ring

ADMIN = "admin"
DEVICES_DEFAULT = 3
REPLICAS_DEFAULT = 2
SEED = 0
"""Of the first layout. Any will do; the same for everyone makes rings of like clusters comparable."""
_MARK = "first-start"
_DEVICES = "devices/"


@dataclass(frozen=True)
class Wish:
    """What the first start is asked for. `paths` are folders to become devices, in the place of a number of them."""

    devices: int | None = None
    paths: tuple[str, ...] = ()
    replicas: int | None = None
    policies: tuple[str, ...] = ()
    region: int = 1
    zone: int = 1
    machine: str = "localhost"

    @property
    def count(self) -> int:
        return len(self.paths) or self.devices or DEVICES_DEFAULT


def is_new(folder: DataFolder) -> bool:
    """Whether nothing was ever kept in this folder, so that a first start may make it.

    Takes away what a first start left that came to no end. Raises DamageError where something is missing that should
    be there, ConflictError where another process is at its first start.
    """
    _undo_unfinished(folder)
    there = _parts(folder)
    if not there:
        return True
    needed = {CLUSTER_FILE} if "node" in there and not _owns_registry(folder) else {CLUSTER_FILE, "registry"}
    missing = sorted(needed - there)
    if missing:
        raise DamageError(folder.lost(" and ".join(missing)))
    return False


def plan(folder: DataFolder, wish: Wish) -> tuple[Cluster, Ring]:
    """The cluster and ring to be made. Raises InvalidError, before anything is written, where they cannot be."""
    if wish.paths and wish.devices not in (None, len(wish.paths)):
        raise InvalidError("--devices makes folders below the data folder, --device names others: give one of them")
    standard = min(wish.count, REPLICAS_DEFAULT) if wish.replicas is None else wish.replicas
    named = wish.policies and wish.replicas is None
    wanted = wish.policies if named else (f"standard={standard}", *wish.policies)
    cluster = new_cluster(SystemRandom(), with_policies((), wanted))
    for policy in cluster.policies:
        if policy.width > wish.count:
            raise InvalidError(f"policy {policy.name!r} needs {policy.width} devices: add --devices {policy.width}")
    builder = Builder()
    for label in _labels(folder, wish):
        builder.add(wish.region, wish.zone, wish.machine, weight=1.0, label=label)
    for width in sorted({policy.width for policy in cluster.policies}):
        builder.add_width(width)
    _check_places(folder, wish)
    return cluster, Ring(cluster.key, (builder.rebalance(SEED),))


def _labels(folder: DataFolder, wish: Wish) -> Sequence[str]:
    labels = [folder.label(path) for path in wish.paths] or [f"{_DEVICES}{number}" for number in range(wish.count)]
    if len(set(labels)) < len(labels):
        raise InvalidError("--device names the same folder twice")
    return labels


def _check_places(folder: DataFolder, wish: Wish) -> None:
    options = Options()
    if not wish.paths:
        parent = folder.path
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        if not os.access(parent, os.W_OK | os.X_OK):
            raise InvalidError(f"{parent} cannot be written to: choose another place with --data")
        check_room(parent, options, mounted_with=wish.count - 1)
        return
    for path in wish.paths:
        check_new(path, options)
    for _, same in groupby(sorted(wish.paths, key=_disk), key=_disk):
        together = list(same)
        check_new(together[0], options, mounted_with=len(together) - 1)


def _disk(path: str) -> int:
    return os.stat(path).st_dev


async def found(folder: DataFolder, cluster: Cluster, ring: Ring, url: str) -> None:
    """Make the folder, its devices, its registry with an administrator, and the files for clients: all, or nothing."""
    with making(folder, [device.label for device in ring.devices.values()]):
        await _make(folder, cluster, ring, url)


@contextmanager
def making(folder: DataFolder, labels: Sequence[str]) -> Iterator[None]:
    """While a data folder is made, which is new (`is_new`): it is there when this ends, or nothing is, and the same
    goes for the devices of these labels. Raises ConflictError where somebody else makes it."""
    new_folders = _missing_folders(folder.path)
    try:
        os.makedirs(folder.path, mode=0o700, exist_ok=True)
        with _marked(folder, labels):
            yield
    except BaseException:
        for path in new_folders:
            with suppress(OSError):
                os.rmdir(path)
        raise


async def _make(folder: DataFolder, cluster: Cluster, ring: Ring, url: str) -> None:
    random = SystemRandom()
    records = {}
    for number, device in sorted(ring.devices.items()):
        path = folder.device(device.label)
        if device.label.startswith(_DEVICES):
            os.makedirs(path, mode=0o700, exist_ok=True)
            sync_folder(os.path.dirname(path))
        made = make_in(path, number, cluster, RingCopy(0, ring, {}), random, in_sync=True)
        records[number] = DeviceRecord(made.incarnation, in_sync=True, label=device.label)
    with open_embedded(folder.registry, SystemClock()) as registry:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.run)
            await save_records(registry, records)
            await save_ring(registry, ring, 0)
            admin = await bootstrap(registry, user_name=ADMIN, project_name=ADMIN)
            nursery.cancel_scope.cancel()
    assert admin.password is not None
    clients.write(folder, url, ADMIN, admin.password, ADMIN)
    save_cluster(folder, cluster)


@contextmanager
def _marked(folder: DataFolder, labels: Sequence[str]) -> Iterator[None]:
    """While a first start makes the folder. The mark says which devices may have to be taken away; it goes last."""
    mark = _lock_mark(folder, os.O_CREAT)
    try:
        if _parts(folder):
            os.unlink(folder.at(_MARK))
            raise ConflictError(f"another process has just made its first start in {folder.path}")
        os.write(mark, json.dumps(labels).encode())
        os.fsync(mark)
        folder.sync()
        try:
            yield
        except BaseException:
            _take_away(folder, labels)
            os.unlink(folder.at(_MARK))
            raise
        os.unlink(folder.at(_MARK))
        folder.sync()
    finally:
        os.close(mark)


def _undo_unfinished(folder: DataFolder) -> None:
    try:
        mark = _lock_mark(folder, 0)
    except FileNotFoundError:
        return
    try:
        stored = os.pread(mark, 1 << 20, 0)
        _take_away(folder, json.loads(stored) if stored else [])
        os.unlink(folder.at(_MARK))
        folder.sync()
    finally:
        os.close(mark)


def _lock_mark(folder: DataFolder, flags: int) -> int:
    mark = os.open(folder.at(_MARK), os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(mark)
        raise ConflictError(f"another process is at its first start in {folder.path}") from None
    return mark


def _take_away(folder: DataFolder, labels: Sequence[str]) -> None:
    """What a first start has made. Nobody was served, so its devices were never opened; a folder that says otherwise
    is left as it is."""
    for label in labels:
        path = folder.device(label)
        if os.path.isdir(path):
            clear_made(path)
            if label.startswith(_DEVICES):
                with suppress(OSError):
                    os.rmdir(path)
    with suppress(OSError):
        os.rmdir(folder.at("devices"))
    shutil.rmtree(folder.registry, ignore_errors=True)
    clear_identity(folder)
    for name in (CLUSTER_FILE, *clients.FILES):
        for made in (name, name + ".new"):
            with suppress(FileNotFoundError):
                os.unlink(folder.at(made))


def _parts(folder: DataFolder) -> set[str]:
    """Which of the parts that a data folder must have are there."""
    there = {CLUSTER_FILE} if os.path.exists(folder.at(CLUSTER_FILE)) else set()
    if folder.has_registry:
        there.add("registry")
    if find_identity(folder) is not None:
        there.add("node")
    if os.path.isdir(folder.at("devices")) and os.listdir(folder.at("devices")):
        there.add("devices")
    return there


def _owns_registry(folder: DataFolder) -> bool:
    identity = find_identity(folder)
    return identity is None or identity.owns_registry


def _missing_folders(path: str) -> list[str]:
    """This folder and those above it that are not there, the innermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
