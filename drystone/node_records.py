"""What the registry knows of each node: who is a member, and who lives.

authority     the cluster's certificate authority, by which nodes sign
node/<name>   a member: where it is reached, where it stands, and the serial number of its certificate
live/<name>   a member that runs: gone some seconds after it does not say so any more
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from store.core.codec import Codec
from store.core.errors import InvalidError
from store.registry import Put, Registry, Span
from store.wire.authority import Identity

AUTHORITY_KEY: Final = b"authority"
NODE_PREFIX: Final = b"node/"
NODES: Final = Span.prefix(NODE_PREFIX)
LIVE_PREFIX: Final = b"live/"
LIVES: Final = Span.prefix(LIVE_PREFIX)

REVOKED_PREFIX: Final = b"revoked/"

NAME_MAX: Final = 22
"""A certificate names a node and its cluster in 64 characters."""

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class State(StrEnum):
    """`joining`: it has a certificate, and has not been seen with it. `draining`: it is to become empty."""

    JOINING = "joining"
    MEMBER = "member"
    DRAINING = "draining"


@dataclass(frozen=True)
class NodeRecord:
    """`serial` is that of the one certificate that counts, in hexadecimal; `joined_us` is wall time."""

    address: str
    region: int
    zone: int
    machine: str
    state: State
    serial: str
    joined_us: int


@dataclass(frozen=True)
class Life:
    """One run of a node's process. `id` is new at every start; `program` is its version."""

    id: bytes
    program: str


@dataclass(frozen=True)
class StoredNode:
    """What is known of a name, and the revision at which it was read; None and 0: nothing is."""

    record: NodeRecord | None
    revision: int


def _read_node_1(fields: Sequence[Any]) -> NodeRecord:
    address, region, zone, machine, state, serial, joined_us = fields
    return NodeRecord(address, region, zone, machine, State(state), serial, joined_us)


NODE_CODEC: Final = Codec[NodeRecord](
    "node record",
    1,
    lambda node: (node.address, node.region, node.zone, node.machine, node.state.value, node.serial, node.joined_us),
    {1: _read_node_1},
)

LIFE_CODEC: Final = Codec[Life](
    "life of a node", 1, lambda life: (life.id, life.program), {1: lambda fields: Life(*fields[:2])}
)

AUTHORITY_CODEC: Final = Codec[Identity]("authority", 1, tuple, {1: lambda fields: Identity(*fields[:2])})


def node_key(name: str) -> bytes:
    return NODE_PREFIX + name.encode()


def live_key(name: str) -> bytes:
    return LIVE_PREFIX + name.encode()


def put_revoked(serial: str) -> Put:
    """What notes that a certificate does not count any more."""
    return Put(REVOKED_PREFIX + serial.encode(), b"")


async def load_revoked(registry: Registry) -> frozenset[str]:
    """The serial numbers of certificates that do not count any more."""
    items = await registry.range(Span.prefix(REVOKED_PREFIX))
    return frozenset(item.key.removeprefix(REVOKED_PREFIX).decode() for item in items)


async def load_nodes(registry: Registry) -> dict[str, NodeRecord]:
    items = await registry.range(NODES)
    return {item.key.removeprefix(NODE_PREFIX).decode(): NODE_CODEC.decode(item.value) for item in items}


async def find_node(registry: Registry, name: str) -> StoredNode:
    item = await registry.get(node_key(name))
    return StoredNode(None, 0) if item is None else StoredNode(NODE_CODEC.decode(item.value), item.mod_revision)


async def load_lives(registry: Registry) -> dict[str, Life]:
    items = await registry.range(LIVES)
    return {item.key.removeprefix(LIVE_PREFIX).decode(): LIFE_CODEC.decode(item.value) for item in items}


async def find_authority(registry: Registry) -> Identity | None:
    """None where this is no cluster of several nodes."""
    item = await registry.get(AUTHORITY_KEY)
    return None if item is None else AUTHORITY_CODEC.decode(item.value)


def check_name(name: str) -> None:
    """Raises InvalidError for what cannot be the name of a node."""
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise InvalidError(
            f"a node's name has 1 to {NAME_MAX} letters a-z, digits and '-' inside, like n1: not {name!r}"
        )


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address at which other nodes reach one. Raises InvalidError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise InvalidError(f"an address is ADDR:PORT, like 10.0.0.1:7400, not {address!r}")
    try:
        anywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        anywhere = False
    if anywhere:
        raise InvalidError(f"{address}: name the address by which other nodes reach this one")
    return host, int(port)
