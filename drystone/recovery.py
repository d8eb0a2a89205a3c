"""Making a lost registry and cluster file anew from what every device keeps (see `device_copies`), without a snapshot.

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
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace

from authn.bootstrap import bootstrap
from authn.operator import open_operator
from drystone import clients
from drystone.cluster import Cluster, save_cluster
from drystone.device_records import DeviceRecord, save_records
from drystone.folder import CLUSTER_FILE, DataFolder
from drystone.found_devices import Found, find
from drystone.founding import ADMIN
from drystone.layouts import load_ring, save_ring
from drystone.node_identity import find_identity
from store.core.beside import beside
from store.core.clock import SystemClock
from store.core.errors import DamageError, DrystoneError, InvalidError, NotFoundError
from store.device.row import IndexRow, decode_value, row_name
from store.engine.owner import open_folder
from store.objects.tables import ROOT, ROOT_SHARDS
from store.registry import Registry, open_embedded
from store.ring import Ring

ACCOUNT_PREFIX = "AUTH_"
URL = "http://127.0.0.1:8080"
"""Of the files for clients, until the next start writes its own."""
_PAGE = 1000


async def recover_from_devices(
    folder: DataFolder, paths: Sequence[str], project_id: str | None, *, accept_missing: bool
) -> list[str]:
    """Make what is missing of cluster file and registry from the devices alone. Returns what to tell the operator."""
    if folder.has_registry and os.path.exists(folder.at(CLUSTER_FILE)):  # noqa: ASYNC240
        raise InvalidError(
            f"neither {CLUSTER_FILE} nor the registry is missing. If the registry is damaged, move {folder.registry} "
            "away first: what only it knows (users, projects) is lost then"
        )
    identity = find_identity(folder)
    found = find(folder, paths)
    if identity is not None and not identity.owns_registry:
        save_cluster(folder, found.cluster)
        return [*found.said, f"{CLUSTER_FILE} is made anew. The registry is not in this folder."]
    if identity is not None and not folder.has_registry:
        ring = found.copy.ring
        raise InvalidError(
            f"this is node {identity.name}, which had the registry of a cluster of several nodes, and no snapshot of "
            f"it is on the {len(found.folders)} devices that were found here. They have the ring (layout "
            f"{ring.newest.version}, {len(ring.devices)} devices) and all objects; who is a node, the cluster's "
            "authority, users and projects they have not, and a cluster is not made without them. Devices of other "
            "nodes may have a snapshot (registry-snapshots/ in their folders): 'drystone registry recover "
            "--from-snapshot FILE'. Or put back a copy of the folder 'registry'. Nothing was changed"
        )
    need_all(found, "", accept_missing=accept_missing)
    version = found.copy.ring.newest.version
    said = [*found.said, f"cluster {found.cluster.id.hex()}, layout {version}, {len(found.folders)} devices"]
    if folder.has_registry:
        await _check_registry(folder, found.cluster)
        save_cluster(folder, found.cluster)
        return [*said, f"{CLUSTER_FILE} is made anew; the registry is as it was."]
    accounts = await _accounts(folder, found, said)
    said += await _rebuild(folder, found, accounts, project_id)
    return said


def need_all(found: Found, node: str, *, accept_missing: bool) -> None:
    """Raises NotFoundError where devices of this node (empty: of a machine alone) were not found, unless that is
    accepted."""
    records = found.copy.records
    lost = {
        number: label
        for number, label in found.missing.items()
        if number not in records or records[number].node == node
    }
    if lost and not accept_missing:
        missing = "".join(f"\n  device {number}, last in {label}" for number, label in sorted(lost.items()))
        raise NotFoundError(
            f"not all devices were found, and one that is missing may know a newer ring:{missing}\n"
            "Mount them, or name their folders with --device PATH. If they are lost, --accept-missing goes on."
        )


@asynccontextmanager
async def new_registry(folder: DataFolder, cluster: Cluster, first_revision: int = 1) -> AsyncIterator[Registry]:
    """An embedded registry to be filled. It is in its place, with the cluster file, when the block has ended well."""
    os.makedirs(folder.path, mode=0o700, exist_ok=True)
    building = folder.at("registry.new")
    shutil.rmtree(building, ignore_errors=True)
    with open_embedded(building, SystemClock(), first_revision=first_revision) as registry:
        async with beside(registry.run):
            yield registry
    save_cluster(folder, cluster)
    if os.path.exists(folder.registry):  # noqa: ASYNC240
        os.rename(folder.registry, f"{folder.registry}.without-data-{SystemClock().wall_us()}")
    os.rename(building, folder.registry)
    folder.sync()


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
    async with new_registry(folder, found.cluster) as registry:
        await save_ring(registry, _ring(found), 0)
        await save_records(registry, _records(folder, found))
        return await _identity(folder, registry, ids, project_id)


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
