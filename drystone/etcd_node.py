"""The registry of a cluster in etcd, and this node's part of it: the first three nodes run a member each.

A node's etcd listens beside the node's own address: for clients at the next port, for other members at the one after
that. Its certificate is that of the node. What is to be done is read from etcd itself each time (who is a member, who
votes, who is no node any more), so that a start goes on wherever the one before came to its end.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import structlog
import trio

from drystone.folder import DataFolder
from drystone.links import Links
from drystone.node_identity import NodeIdentity, credentials_of, lock_node, revoked_path, save_place, save_revoked
from drystone.node_records import find_authority, load_nodes, load_revoked, split_address
from drystone.registry_snapshot import put_all
from store.core.beside import beside
from store.core.clock import Clock
from store.core.errors import DrystoneError, RetryableError
from store.registry import Registry, Span, open_embedded
from store.registry.etcd import Client, EtcdRegistry, Tls, open_client
from store.registry.etcd.endpoint import ping
from store.registry.etcd.member import QUOTA_BYTES, Member
from store.registry.etcd.members import MemberInfo, add_member, members, promote_member, remove_member
from store.registry.etcd.recovery import raise_revisions
from store.registry.etcd.supervisor import Supervisor, ready
from store.registry.etcd.upkeep import Upkeep
from store.wire.authority import revoke

log = structlog.get_logger()

MEMBERS: Final = 3
"""More would make each write slower, and two members survive the loss of none."""
AGAIN_SECONDS: Final = 1.0
"""Members come and go one at a time, and etcd refuses the next for some seconds."""
LOOK_SECONDS: Final = 15.0
"""Between looks at who the members are."""
_DATA: Final = "etcd"
_BEFORE: Final = "registry.before-etcd"


def client_url(address: str) -> str:
    """Where the etcd of the node at this address answers clients."""
    return _url(address, 1)


def peer_url(address: str) -> str:
    """Where it answers other members."""
    return _url(address, 2)


def _url(address: str, behind: int) -> str:
    host, port = split_address(address)
    return f"https://{f'[{host}]' if ':' in host else host}:{port + behind}"


def prefix_of(cluster: str) -> bytes:
    """Below which a cluster has all that it keeps in etcd."""
    return b"drystone/" + cluster.encode() + b"/"


def tls_of(folder: DataFolder) -> Tls:
    """What the node shows to etcd, and whom it believes."""
    files = credentials_of(folder)
    return Tls(files.authority, files.certificate, files.key)


def member_of(
    folder: DataFolder, identity: NodeIdentity, cluster: str, peers: dict[str, str], *, joins: bool
) -> Member:
    """The etcd of the node in this folder; `cluster` is the cluster's id, in hexadecimal."""
    revoked = revoked_path(folder)
    return Member(
        identity.name,
        folder.at(_DATA),
        client_url(identity.address),
        peer_url(identity.address),
        peers,
        cluster,
        joins=joins,
        tls=tls_of(folder),
        revoked=revoked if os.path.exists(revoked) else "",
    )


@asynccontextmanager
async def open_etcd(folder: DataFolder, links: Links, clock: Clock, *, worker: bool) -> AsyncIterator[Registry]:
    """The registry in etcd, with this node's member of it, if it has one. An embedded registry that is still in the
    folder is moved there first: this is the first start of the first node. A `worker` never has a member: its machine
    would count twice.

    Raises ConflictError where another process serves the folder.
    """
    with lock_node(folder):
        async with open_client(links.identity.etcd, tls_of(folder)) as client:
            registry = EtcdRegistry(client, prefix_of(links.cluster))
            node = EtcdNode(folder, links, client, registry, clock)
            async with beside(node.look if worker else node.run):
                if folder.has_registry:
                    await _move_in(folder, client, registry, clock)
                node.moved_in.set()
                await _wait_for(registry)
                yield registry


async def _wait_for(registry: Registry) -> None:
    while True:
        try:
            await registry.revision()
        except RetryableError as error:
            log.warning("waiting for etcd: a majority of its members is to be there", why=str(error))
            await trio.sleep(AGAIN_SECONDS)
        else:
            return


async def _move_in(folder: DataFolder, client: Client, registry: EtcdRegistry, clock: Clock) -> None:
    """Nobody is served before this has come to its end, so it may be begun again."""
    await ready(client.endpoints[0])
    await raise_revisions(client, registry.prefix)  # above all that the embedded registry has told
    with open_embedded(folder.registry, clock) as before:
        items = await before.range(Span.prefix(b""))
    await put_all(registry, ((item.key, item.value) for item in items if not item.lease))
    os.rename(folder.registry, folder.at(_BEFORE))
    folder.sync()
    log.info("the registry is in etcd now", items=len(items))


class EtcdNode:
    """`run` beside the process. `client` is told of members that come and go."""

    def __init__(self, folder: DataFolder, links: Links, client: Client, registry: EtcdRegistry, clock: Clock) -> None:
        self._clock = clock
        self.moved_in = trio.Event()
        """To be set when nothing is to be moved to etcd any more: before, the registry there has not its revisions."""
        self._revoked: frozenset[str] | None = None
        self._folder = folder
        self._links = links
        self._client = client
        self._registry = registry

    @property
    def _has_data(self) -> bool:
        return os.path.isdir(self._folder.at(_DATA, "member"))

    async def run(self) -> None:
        """Have this node's etcd run, where it is one of the first three, until cancelled."""
        async with trio.open_nursery() as nursery:
            if self._has_data and await self._is_forgotten():
                self._put_aside()
            if self._has_data:
                nursery.start_soon(self._serve, self._member({}, joins=True))
            elif self._folder.has_registry:
                own = {self._links.identity.name: peer_url(self._links.identity.address)}
                nursery.start_soon(self._serve, self._member(own, joins=False))
            else:
                nursery.start_soon(self._become_member, nursery)
            nursery.start_soon(self.look)

    def _member(self, peers: dict[str, str], *, joins: bool) -> Member:
        return member_of(self._folder, self._links.identity, self._links.cluster, peers, joins=joins)

    async def _serve(self, member: Member) -> None:
        own = self._client.endpoint(member.client_url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Supervisor(member).run)
            nursery.start_soon(Upkeep(self._client, own, QUOTA_BYTES).run)

    async def _is_forgotten(self) -> bool:
        """Whether the others go on without this node's member: it was removed, or they were recovered without it. Its
        data must not be started then: with another that was away it would be a majority of what is no more. Who asks
        and is not answered cannot tell."""
        mine = peer_url(self._links.identity.address)
        for endpoint in self._client.endpoints:
            if endpoint.url == client_url(self._links.identity.address):
                continue
            try:
                await ping(endpoint)  # so that it knows of all changes before it says who is a member
                present = await members(Client([endpoint]))
            except DrystoneError:
                continue
            return not any(mine in each.peer_urls for each in present)
        return False

    def _put_aside(self) -> None:
        aside = self._folder.at(f"{_DATA}.forgotten-{self._clock.wall_us()}")
        os.rename(self._folder.at(_DATA), aside)
        self._folder.sync()
        log.warning("the others go on without what this node's etcd has: it joins them with none", kept=aside)

    async def _become_member(self, nursery: trio.Nursery) -> None:
        """Where there are not enough, be one more."""
        while True:
            try:
                present = await members(self._client)
                own = next((each for each in present if peer_url(self._links.identity.address) in each.peer_urls), None)
                if own is not None and own.name:
                    await remove_member(self._client, own.id)  # that had data which are lost
                    continue
                if own is None and len(present) >= MEMBERS:
                    return
                await self._revoke()
                if own is None:
                    await add_member(self._client, peer_url(self._links.identity.address), learner=True)
            except (DrystoneError, OSError) as error:
                log.info("not a member of etcd yet", why=str(error))
                await trio.sleep(AGAIN_SECONDS)
                continue
            peers = {each.name: each.peer_urls[0] for each in present if each.name}
            peers[self._links.identity.name] = peer_url(self._links.identity.address)
            nursery.start_soon(self._serve, self._member(peers, joins=True))
            return

    async def look(self) -> None:
        """Promote members that have caught up, remove those that are no nodes any more, ask those that are there, until
        cancelled."""
        await self.moved_in.wait()
        while True:
            waits = LOOK_SECONDS
            try:
                present = await members(self._client)
                nodes = await load_nodes(self._registry) if present else {}
                for each in present:
                    if each.learner and each.name == self._links.identity.name:
                        waits = AGAIN_SECONDS
                        await promote_member(self._client, each.id)
                    elif nodes and each.name and each.name not in nodes:
                        await remove_member(self._client, each.id)
                        log.info("a member of etcd was removed: it is no node any more", node=each.name)
                self._ask(present)
                await self._revoke()
            except (DrystoneError, OSError) as error:
                log.info("members of etcd: not now", why=str(error))
            await trio.sleep(waits)
            await self._need_same()

    async def _need_same(self) -> None:
        """Raises DamageError where etcd was recovered under this process, which ends then: what it remembers is of
        before."""
        with suppress(RetryableError):
            await self._registry.check_same()

    async def _revoke(self) -> None:
        """Have this node's etcd refuse certificates of nodes that were removed or replaced."""
        revoked = await load_revoked(self._registry)
        if revoked != self._revoked:
            authority = await find_authority(self._registry)
            if authority is not None:
                now = datetime.datetime.fromtimestamp(self._clock.wall_us() / 1e6, datetime.UTC)
                save_revoked(self._folder, revoke(authority, revoked, now))
                self._revoked = revoked

    def _ask(self, present: list[MemberInfo]) -> None:
        """Ask all that vote, from now on and after the next start."""
        urls = tuple(sorted(url for each in present if not each.learner for url in each.client_urls[:1]))
        if urls and urls != tuple(endpoint.url for endpoint in self._client.endpoints):
            self._client.use(urls)
            self._links.identity = replace(self._links.identity, etcd=urls)
            save_place(self._folder, self._links.identity)
