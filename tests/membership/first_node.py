"""The first node of a cluster, as far as others meet it: its registry in memory, its listener on a port of loopback."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from drystone.cluster import Cluster, save_cluster
from drystone.folder import DataFolder
from drystone.join_service import JoinService
from drystone.join_tokens import Token, make_token
from drystone.joining import Joined, Newcomer, join
from drystone.links import Links
from drystone.listener import Listener, listen
from drystone.members import Members
from drystone.node_identity import NodeIdentity, save_identity
from drystone.node_records import AUTHORITY_CODEC, AUTHORITY_KEY, NODE_CODEC, NodeRecord, State, find_node, node_key
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.network import SystemNetwork
from store.objects.model import Policy
from store.registry import memory_registry
from store.registry.served import RegistryService
from store.registry.single_key import put
from store.wire.authority import issue, make_authority, serial_of
from tests.ports import free_address

CLUSTER = Cluster(b"c" * 16, b"k" * 16, (Policy(0, "standard", replicas=3, default=True),))
VALID_SECONDS = 600


class FirstNode:
    """To be entered by `first_node`."""

    def __init__(self, path: Path) -> None:
        self.folder = DataFolder(str(path / "n1"))
        (path / "n1").mkdir()
        self.address = free_address()
        self.identity = NodeIdentity("n1", self.address, 1, 1, "m1", "n1", self.address)
        self.registry = memory_registry(SystemClock())
        now = datetime.datetime.now(datetime.UTC)
        self.authority = make_authority(CLUSTER.id.hex(), now)
        own = issue(self.authority, "n1", CLUSTER.id.hex(), now)
        save_identity(self.folder, self.identity, self.authority.certificate, own.certificate, own.key)
        save_cluster(self.folder, CLUSTER)
        self.serial = serial_of(own.certificate)
        self.members = Members(self.registry, "n1", self.serial)
        self.links = Links(self.folder, CLUSTER, self.identity)
        self.join_service = JoinService(self.registry, CLUSTER, self.links, SystemClock())
        self.listener: Listener

    async def say(self, name: str, state: State, address: str = "10.0.0.9:1", serial: str = "0") -> None:
        """Put a record of a node."""
        record = NodeRecord(address, 1, 1, name, state, serial, 0)
        await put(self.registry, node_key(name), NODE_CODEC.encode(record))

    async def token(self, name: str = "") -> Token:
        return await make_token(self.registry, self.authority.certificate, VALID_SECONDS, SystemRandom(), name)

    async def state(self, name: str) -> State | None:
        found = await find_node(self.registry, name)
        return found.record.state if found.record else None

    async def join(
        self,
        folder: Path,
        token: Token,
        name: str = "n2",
        *,
        address: str = "",
        replace: bool = False,
    ) -> Joined:
        newcomer = Newcomer(name, address or free_address(), 1, 2, "m2", replace)
        return await join(DataFolder(str(folder)), self.address, token, newcomer, SystemNetwork(), SystemRandom())


@asynccontextmanager
async def first_node(path: Path) -> AsyncIterator[FirstNode]:
    node = FirstNode(path)
    await put(node.registry, AUTHORITY_KEY, AUTHORITY_CODEC.encode(node.authority))
    await node.say("n1", State.MEMBER, node.address, node.serial)
    await node.members.load()
    services = [RegistryService(node.registry).serve]
    node.listener = Listener(node.folder, node.links, node.members, services, [node.join_service.serve])
    node.members.on_change.append(node.listener.drop_gone)
    listeners = await listen(node.address)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.listener.run, listeners)
        nursery.start_soon(node.members.run)
        yield node
        nursery.cancel_scope.cancel()
