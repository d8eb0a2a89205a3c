"""Making a lost registry and cluster file anew from what every device keeps (see `device_copies`).

The ring is the newest that any device has. What the registry alone knew is lost: users, projects, roles and tokens. But
accounts are rows, and are named after the id of their project: so projects are made with the ids that the accounts
found have, and a new administrator has a role in each.

The new registry is built beside its place and moved there whole; a recovery that ends half-way leaves nothing that a
start would take for a registry.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

import trio

from authn.bootstrap import bootstrap
from authn.operator import open_operator
from drystone import clients
from drystone.cluster import Cluster, read_cluster, save_cluster
from drystone.control_client import serving
from drystone.device_copies import RingCopy, read_cluster_copy, read_ring_copy
from drystone.device_records import DeviceRecord, save_records
from drystone.folder import CLUSTER_FILE, DataFolder
from drystone.founding import ADMIN
from drystone.layouts import load_ring, save_ring
from drystone.node_identity import find_identity
from store.core.clock import SystemClock
from store.core.errors import ConflictError, DamageError, DeviceError, DrystoneError, InvalidError, NotFoundError
from store.device.row import IndexRow, decode_value, row_name
from store.engine.folder import Superblock, find_superblock
from store.engine.owner import open_folder
from store.objects.tables import ROOT, ROOT_SHARDS
from store.registry import Registry, open_embedded
from store.ring import Ring

ACCOUNT_PREFIX = "AUTH_"
URL = "http://127.0.0.1:8080"
"""Of the files for clients, until the next start writes its own."""
_PAGE = 1000


@dataclass
class Found:
    """What the devices say: their folders by number, and the newest copies."""

    cluster: Cluster
    copy: RingCopy
    folders: dict[int, str]
    superblocks: dict[int, Superblock]
    said: list[str] = field(default_factory=list)

    @property
    def missing(self) -> dict[int, str]:
        """Devices of the ring that were not found, and their labels."""
        known = self.copy.ring.devices
        return {number: device.label for number, device in known.items() if number not in self.folders}


def find(folder: DataFolder, paths: Iterable[str]) -> Found:
    """Look at the devices below the data folder, in other places that these name, and in `paths`. Changes nothing.

    Raises DrystoneError, saying what to do, where they do not make one cluster.
    """
    said: list[str] = []
    superblocks: dict[str, Superblock] = {}
    for path in paths:
        superblocks[os.path.abspath(path)] = find_superblock(os.path.abspath(path))  # asked for: must be one
    for path in _below(folder):
        _look(path, superblocks, said)
    while True:
        about_copies: list[str] = []
        cluster, copy = _newest(folder, superblocks, about_copies)
        elsewhere = {folder.device(label) for label in _labels(copy)} - superblocks.keys()
        before = len(superblocks)
        for path in sorted(elsewhere):
            _look(path, superblocks, [])
        if len(superblocks) == before:
            break
    said += about_copies
    folders = _choose(superblocks, copy, said)
    return Found(cluster, copy, folders, {number: superblocks[path] for number, path in folders.items()}, said)


def _below(folder: DataFolder) -> list[str]:
    parent = folder.at("devices")
    return sorted(os.path.join(parent, name) for name in os.listdir(parent)) if os.path.isdir(parent) else []


def _look(path: str, superblocks: dict[str, Superblock], said: list[str]) -> None:
    if path not in superblocks:
        try:
            superblocks[path] = find_superblock(path)
        except DeviceError as error:
            said.append(f"left out: {error}")


def _labels(copy: RingCopy) -> list[str]:
    known = copy.ring.devices
    return [copy.records[number].label if number in copy.records else known[number].label for number in known]


def _newest(folder: DataFolder, superblocks: Mapping[str, Superblock], said: list[str]) -> tuple[Cluster, RingCopy]:
    """The cluster that all agree on, and the newest ring that any has."""
    if not superblocks:
        raise NotFoundError(f"no device was found in {folder.at('devices')}: name others with --device PATH")
    if len({superblock.cluster for superblock in superblocks.values()}) > 1:
        places = "".join(f"\n  {path}: cluster {each.cluster.hex()}" for path, each in sorted(superblocks.items()))
        raise ConflictError(f"these devices are not of one cluster; move the others away:{places}")
    clusters: list[Cluster] = []
    if os.path.exists(folder.at(CLUSTER_FILE)):
        clusters.append(read_cluster(folder))
    copies: list[RingCopy] = []
    for path in superblocks:
        try:
            cluster = read_cluster_copy(path)
            if cluster is None:
                said.append(f"{path} keeps no copy of the ring: a version that made none wrote to it last")
                continue
            clusters.append(cluster)
            copy = read_ring_copy(path, cluster.key)
        except (DamageError, OSError) as error:
            said.append(f"{path} is not asked about the ring: {error}")
        else:
            copies += [copy] if copy is not None else []
    if len({(cluster.id, cluster.key) for cluster in clusters}) > 1:
        raise ConflictError(f"the devices and {folder.at(CLUSTER_FILE)} do not agree on the cluster's id and key")
    if not copies:
        raise DamageError("no device keeps a copy of the ring that can be read: there is nothing to recover from")
    return max(clusters, key=lambda cluster: len(cluster.policies)), max(copies, key=lambda copy: copy.order)


def _choose(superblocks: Mapping[str, Superblock], copy: RingCopy, said: list[str]) -> dict[int, str]:
    """One folder for each device of the ring: the incarnation that was known last, where there are several."""
    folders: dict[int, str] = {}
    for number in copy.ring.devices:
        paths = [path for path, superblock in superblocks.items() if superblock.device == number]
        record = copy.records.get(number)
        known = [path for path in paths if record and superblocks[path].incarnation == record.incarnation]
        if len(known or paths) > 1:
            raise ConflictError(f"these folders are all device {number}; move the wrong ones away: {', '.join(paths)}")
        for path in paths:
            if path in (known or paths):
                folders[number] = path
            else:
                said.append(f"left out: {path} is an older device {number}")
    said += [
        f"left out: {path} holds device {superblock.device}, which is not in the ring"
        for path, superblock in superblocks.items()
        if superblock.device not in copy.ring.devices
    ]
    return folders


async def recover(
    folder: DataFolder, paths: Sequence[str], project_id: str | None, *, accept_missing: bool
) -> list[str]:
    """Make what is missing of cluster file and registry. Returns what to tell the operator."""
    if serving(folder):
        raise ConflictError(f"{folder.path} is being served: stop that first")
    if folder.has_registry and os.path.exists(folder.at(CLUSTER_FILE)):  # noqa: ASYNC240
        raise InvalidError(
            f"neither {CLUSTER_FILE} nor the registry is missing. If the registry is damaged, move {folder.registry} "
            "away first: what only it knows (users, projects) is lost then"
        )
    identity = find_identity(folder)
    if identity is not None and identity.owns_registry and not folder.has_registry:
        raise InvalidError(
            f"this is node {identity.name}, which had the registry of a cluster of several nodes: that cannot be made "
            "anew from devices yet. Put back a copy of the folder 'registry'; nothing of the devices is lost"
        )
    found = find(folder, paths)
    if identity is not None and not identity.owns_registry:
        save_cluster(folder, found.cluster)
        return [*found.said, f"{CLUSTER_FILE} is made anew. The registry is not in this folder."]
    if found.missing and not accept_missing:
        missing = "".join(f"\n  device {number}, last in {label}" for number, label in sorted(found.missing.items()))
        raise NotFoundError(
            f"not all devices were found, and one that is missing may know a newer ring:{missing}\n"
            "Mount them, or name their folders with --device PATH. If they are lost, --accept-missing goes on."
        )
    version = found.copy.ring.newest.version
    said = [*found.said, f"cluster {found.cluster.id.hex()}, layout {version}, {len(found.folders)} devices"]
    if folder.has_registry:
        await _check_registry(folder, found.cluster)
        save_cluster(folder, found.cluster)
        return [*said, f"{CLUSTER_FILE} is made anew; the registry is as it was."]
    accounts = await _accounts(folder, found, said)
    said += await _rebuild(folder, found, accounts, project_id)
    return said


async def _check_registry(folder: DataFolder, cluster: Cluster) -> None:
    with open_embedded(folder.registry, SystemClock()) as registry:
        if (await load_ring(registry, cluster.key)).ring is None:
            raise DamageError(f"the registry in {folder.registry} has no ring: move it away, and recover it as well")


async def _accounts(folder: DataFolder, found: Found, said: list[str]) -> list[str]:
    """The names of all accounts that any device has."""
    newest: dict[bytes, IndexRow] = {}
    ring = found.copy.ring
    for number, path in sorted(found.folders.items()):
        with ExitStack() as stack:
            try:
                owned = await open_folder(number, found.cluster.id, path, stack)
            except (DrystoneError, OSError) as error:
                said.append(f"device {number} cannot be opened, and is not asked for accounts: {error}")
                continue
            port = owned.port
            try:
                for shard in range(ROOT_SHARDS):
                    ring_hash, after = ring.ring_hash(b"rows", ROOT, shard.to_bytes(2)), b""
                    while page := await port.list_rows(ring_hash, ROOT, shard, after, None, _PAGE, epoch=ring.epoch):
                        for row in (decode_value(*entry) for entry in page):
                            if row.name not in newest or newest[row.name].stamp < row.stamp:
                                newest[row.name] = row
                        after = row_name(*page[-1]) + b"\0"
            except DrystoneError as error:
                said.append(f"device {number} does not tell all accounts: {error}")
            finally:
                await owned.close()
    return sorted(name.decode() for name, row in newest.items() if row.live)


async def _rebuild(folder: DataFolder, found: Found, accounts: Sequence[str], project_id: str | None) -> list[str]:
    ids = [name.removeprefix(ACCOUNT_PREFIX) for name in accounts if name.startswith(ACCOUNT_PREFIX)]
    if project_id is not None and project_id not in ids:
        raise NotFoundError(f"no account has the project id {project_id} (there are: {', '.join(ids) or 'none'})")
    if project_id is None and len(ids) == 1:
        project_id = ids[0]
    os.makedirs(folder.path, mode=0o700, exist_ok=True)
    building = folder.at("registry.new")
    shutil.rmtree(building, ignore_errors=True)
    with open_embedded(building, SystemClock()) as registry:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.run)
            await save_ring(registry, _ring(found), 0)
            await save_records(registry, _records(folder, found))
            said = await _identity(folder, registry, ids, project_id)
            nursery.cancel_scope.cancel()
    save_cluster(folder, found.cluster)
    if os.path.exists(folder.registry):  # noqa: ASYNC240
        os.rename(folder.registry, f"{folder.registry}.without-data-{SystemClock().wall_us()}")
    os.rename(building, folder.registry)
    folder.sync()
    return said


def _ring(found: Found) -> Ring:
    """The ring, at an epoch that no device refuses."""
    ring = found.copy.ring
    enforced = max((superblock.enforced for superblock in found.superblocks.values()), default=0)
    if enforced <= ring.epoch:
        return ring
    return Ring(found.cluster.key, ring.live, replace(ring.progress, epoch=enforced))


def _records(folder: DataFolder, found: Found) -> dict[int, DeviceRecord]:
    """A device that is not the one which the copies know is not believed."""
    records = {}
    for number, device in found.copy.ring.devices.items():
        known = found.copy.records.get(number)
        if number not in found.folders:
            records[number] = known or DeviceRecord(b"", in_sync=False, label=device.label)
            continue
        incarnation = found.superblocks[number].incarnation
        in_sync = known is None or (known.in_sync and known.incarnation == incarnation)
        node = known.node if known is not None else ""
        records[number] = DeviceRecord(incarnation, in_sync, folder.label(found.folders[number]), node)
    return records


async def _identity(folder: DataFolder, registry: Registry, ids: Sequence[str], project_id: str | None) -> list[str]:
    """A new administrator, and projects for the accounts that are there."""
    password = _password_before(folder)
    admin = await bootstrap(registry, user_name=ADMIN, project_name=ADMIN, project_id=project_id, password=password)
    assert admin.password is not None
    clients.write(folder, URL, ADMIN, admin.password, ADMIN)
    said = [
        f"The registry is made anew. Users, projects, roles and tokens were only there: the administrator {ADMIN!r} is "
        + ("new, with the password of before" if password else "new, with a new password")
        + f" (in {folder.at('admin-openrc')}); all other users are to be added again ('drystone user add')."
    ]
    operator = await open_operator(registry)
    for id_ in ids:
        name = ADMIN
        if id_ != admin.project_id:
            name = f"recovered-{id_}"
            await operator.add_project(name, "Its account was found when the registry was recovered", id_)
            await operator.grant(ADMIN, name, "admin")
        said.append(f"Account {ACCOUNT_PREFIX}{id_} belongs to project {name!r}; {ADMIN!r} may use it.")
    if not ids:
        said.append("No account was found.")
    return said


def _password_before(folder: DataFolder) -> str | None:
    with suppress(OSError), open(folder.at("admin-openrc"), encoding="utf-8") as file:
        found = re.search(r"^export OS_PASSWORD=(\S+)$", file.read(), re.MULTILINE)
        return found[1] if found else None
    return None
