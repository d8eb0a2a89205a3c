"""A registry in etcd that has lost its majority for good, made to serve again from one node.

From the etcd of this node, which goes on alone with what it has; or anew, from a snapshot. Nothing is changed before it
is sure that no majority is left, and that nobody else runs: two registries would be two clusters. What the new one says
of the ring is brought up to what the devices of this node know before it is put in place.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import trio

from drystone.cluster import Cluster, read_cluster
from drystone.etcd_node import client_url, member_of, peer_url, prefix_of, tls_of
from drystone.folder import DataFolder
from drystone.lost_node import say_self
from drystone.node_identity import NodeIdentity, lock_node, save_place
from drystone.node_records import find_authority, load_nodes, split_address
from drystone.recovered_ring import bring_up
from drystone.registry_snapshot import Snapshot, put_all
from store.core.clock import SystemClock
from store.core.errors import ConflictError, NotFoundError, RetryableError
from store.registry import Registry
from store.registry.etcd import EtcdRegistry, open_client
from store.registry.etcd.endpoint import ping
from store.registry.etcd.recovery import recover_anew, recover_from_survivor

REACH_SECONDS = 3.0


@dataclass
class _Here:
    folder: DataFolder
    identity: NodeIdentity
    cluster: Cluster
    paths: tuple[str, ...]
    said: list[str] = field(default_factory=list)

    async def finish(self, registry: Registry) -> None:
        """Raises ConflictError where any other node runs."""
        others = {
            name: record.address for name, record in (await load_nodes(registry)).items() if name != self.identity.name
        }
        running = await _reached(others)
        if running:
            raise ConflictError(
                f"these nodes run: {', '.join(f'{name} ({others[name]})' for name in running)}. Stop them first: what "
                "they remember is of before. Nothing was changed"
            )
        self.said += await bring_up(self.folder, self.cluster, registry, self.identity.name, self.paths)

    def done(self) -> list[str]:
        """Have this node ask its own etcd from now on. What is next."""
        save_place(self.folder, replace(self.identity, etcd=(client_url(self.identity.address),)))
        return [
            *self.said,
            "Next: start this node with 'drystone up'. On each other node whose disks are left: 'drystone registry "
            f"recover --at {self.identity.address}', then 'drystone up'. Of the others: 'drystone node replace' or "
            "'drystone node remove --dead'.",
        ]


async def from_survivor(
    folder: DataFolder, identity: NodeIdentity, paths: Iterable[str], *, accept_missing: bool
) -> list[str]:
    """This node's etcd goes on alone with what it has. Returns what to tell the operator."""
    here = _Here(folder, identity, read_cluster(folder), tuple(paths))
    with lock_node(folder):
        await _need_no_majority(here, accept_missing=accept_missing)
        cluster = here.cluster.id.hex()
        member = member_of(folder, identity, cluster, {identity.name: peer_url(identity.address)}, joins=True)
        await recover_from_survivor(member, prefix_of(cluster), here.finish)
        here.said.append(
            "The etcd of this node goes on alone with what it had. What was acknowledged in the last moments by the "
            "others alone is missing. The others' etcd must never be started with what they have; a node that is "
            f"started by 'drystone up' sees to that. What was here before is kept in {member.data}.before-recovery."
        )
        return here.done()


async def from_snapshot(
    folder: DataFolder, identity: NodeIdentity, snapshot: Snapshot, paths: Iterable[str], *, accept_missing: bool
) -> list[str]:
    """This node gets an etcd that has what a snapshot has. Returns what to tell the operator."""
    here = _Here(folder, identity, read_cluster(folder), tuple(paths))

    async def fill(registry: Registry) -> None:
        await put_all(registry, snapshot.items)
        await say_self(folder, identity, registry, SystemClock())
        await here.finish(registry)

    with lock_node(folder):
        await _need_no_majority(here, accept_missing=accept_missing)
        cluster = here.cluster.id.hex()
        peers = {identity.name: peer_url(identity.address)}
        member = member_of(folder, identity, cluster, peers, joins=False)
        await recover_anew(member, prefix_of(cluster), snapshot.revision, fill)
        return here.done()


async def at(folder: DataFolder, identity: NodeIdentity, address: str) -> list[str]:
    """Ask the etcd of the node at this address from now on, by which the registry was recovered."""
    split_address(address)
    cluster = read_cluster(folder).id.hex()
    url = client_url(address)
    with lock_node(folder):
        async with open_client([url], tls_of(folder)) as client:
            registry = EtcdRegistry(client, prefix_of(cluster))
            try:
                if await find_authority(registry) is None:
                    raise ConflictError(f"the etcd of the node at {address} has no registry of this cluster")
                await say_self(folder, identity, registry, SystemClock())
            except RetryableError as error:
                raise NotFoundError(f"the etcd of the node at {address} does not answer: {error}") from error
        save_place(folder, replace(identity, etcd=(url,)))
    return [f"The registry is at {address} for this node now. Next: start it with 'drystone up'."]


async def _need_no_majority(here: _Here, *, accept_missing: bool) -> None:
    """Raises ConflictError where etcd serves, or any member of it runs; NotFoundError where others are not reached,
    unless that is accepted."""
    own = client_url(here.identity.address)
    async with open_client(here.identity.etcd, tls_of(here.folder)) as client:
        for endpoint in client.endpoints:
            with suppress(RetryableError):
                await ping(endpoint)
                raise ConflictError(
                    f"etcd serves at {endpoint.url}: it has a majority, and nothing is to be recovered. Members that "
                    "are lost are made anew: 'drystone node replace'"
                )
    running = await _reached({url: urlsplit(url).netloc for url in {*here.identity.etcd, own}})
    if running:
        raise ConflictError(
            f"etcd runs at {', '.join(running)}, without a majority: if more of its members can be brought back, do "
            "that. If they are lost, stop Drystone there first: one alone can go on, and not the one beside it"
        )
    missing = sorted(set(here.identity.etcd) - {own})
    if missing and not accept_missing:
        raise NotFoundError(
            f"these members of etcd are not reached from here: {', '.join(missing)}. They may run all the same, behind "
            "a broken link, and be a majority. Bring back what can be brought back. If they are stopped or lost for "
            "good, --accept-missing goes on"
        )


async def _reached(addresses: dict[str, str]) -> list[str]:
    """Where somebody listens, by their names."""
    found: list[str] = []

    async def ask(name: str, address: str) -> None:
        host, port = split_address(address)
        with trio.move_on_after(REACH_SECONDS), suppress(OSError):
            await trio.aclose_forcefully(await trio.open_tcp_stream(host, port))
            found.append(name)

    async with trio.open_nursery() as nursery:
        for name, address in addresses.items():
            nursery.start_soon(ask, name, address)
    return sorted(found)
