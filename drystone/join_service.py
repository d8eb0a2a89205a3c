"""What a node answers who has no certificate yet: whose cluster this is, and, for a token, a certificate.

    join.authority   [] -> the authority's certificate
    join.ask         what `Ask` has -> what `Welcome` has

The token is used up in the same transaction that makes the record of the new node, so it is used once, whoever asks
with it, and whatever becomes of the answer. A record that says `joining` binds nobody: the next who joins under that
name takes its place.
"""

from __future__ import annotations

import datetime
from dataclasses import astuple
from typing import Any, Final, NamedTuple

import structlog
import trio

from drystone.cluster import Cluster
from drystone.join_tokens import SECRET_BYTES, TOKEN_CODEC, TokenRecord, token_key
from drystone.links import Links
from drystone.node_records import (
    NODE_CODEC,
    NodeRecord,
    State,
    StoredNode,
    check_name,
    find_authority,
    find_node,
    live_key,
    node_key,
    put_revoked,
    split_address,
)
from store.core.clock import Clock
from store.core.errors import BusyError, ConflictError, DamageError, InvalidError
from store.registry import Compare, Delete, Item, Put, Registry
from store.wire.authority import serial_of, sign_request
from store.wire.server import Call, Peer

log = structlog.get_logger()

AUTHORITY: Final = "join.authority"
ASK: Final = "join.ask"

PROBE_BYTES: Final = 16
REACH_SECONDS: Final = 5.0
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.5, 8.0
"""After a token that is none nobody is answered for so long, twice as long each time."""
MACHINE_MAX: Final = 64
_REQUEST_MAX: Final = 8192
_TIER_MAX: Final = 1 << 31


class Ask(NamedTuple):
    """Who wants to join. `probe` is what it says to who dials its address meanwhile; `request` asks for a certificate.
    `replace`: also in the place of a node of that name that has been a member."""

    secret: bytes
    name: str
    address: str
    region: int
    zone: int
    machine: str
    request: bytes
    probe: bytes
    replace: bool


class Welcome(NamedTuple):
    """What a new node is to know."""

    certificate: bytes
    cluster: bytes
    key: bytes
    policies: list[list[Any]]
    registry: str
    registry_address: str
    etcd: list[str]


_TYPES: Final = (bytes, str, str, int, int, str, bytes, bytes, bool)


def parse_ask(fields: list[Any]) -> Ask:
    """Raises InvalidError for what is not the form of one, whatever it says."""
    if len(fields) != len(_TYPES) or not all(map(isinstance, fields, _TYPES)):
        raise InvalidError("this is not how one asks to join")
    ask = Ask(*fields)
    if len(ask.secret) != SECRET_BYTES or len(ask.probe) != PROBE_BYTES or len(ask.request) > _REQUEST_MAX:
        raise InvalidError("this is not how one asks to join")
    check_name(ask.name)
    split_address(ask.address)
    if not all(0 <= tier < _TIER_MAX for tier in (ask.region, ask.zone)):
        raise InvalidError("regions and zones are numbers of 0 or more")
    if not 1 <= len(ask.machine) <= MACHINE_MAX or not ask.machine.isprintable():
        raise InvalidError(f"the name of a machine has 1 to {MACHINE_MAX} characters")
    return ask


class JoinService:
    """Answers strangers on the links that they are given (`serve`), one join after the other."""

    def __init__(self, registry: Registry, cluster: Cluster, links: Links, clock: Clock) -> None:
        self._registry = registry
        self._cluster = cluster
        self._links = links
        self._clock = clock
        self._turn = trio.Lock()
        self._pause = PAUSE_SECONDS

    def serve(self, peer: Peer) -> None:
        """Answer a new peer, who has one request under way at a time."""
        asking = False

        def authority(call: Call) -> None:
            begin(call, self._authority)

        def ask(call: Call) -> None:
            wanted = parse_ask(call.arguments)
            begin(call, lambda: self._ask(wanted))

        def begin(call: Call, work: Any) -> None:
            nonlocal asking
            if asking:
                raise BusyError("one request at a time")
            asking = True

            async def one() -> Any:
                nonlocal asking
                try:
                    return await work()
                finally:
                    asking = False

            call.begin(one)

        peer.handlers.update({AUTHORITY: authority, ASK: ask})

    async def _authority(self) -> bytes:
        authority = await find_authority(self._registry)
        if authority is None:
            raise DamageError("the registry has lost the cluster's authority")
        return authority.certificate

    async def _ask(self, ask: Ask) -> Welcome:
        async with self._turn:
            token = await self._registry.get(token_key(ask.secret))
            if token is None:
                log.warning("somebody asked to join with a token that is none", name=ask.name, address=ask.address)
                await trio.sleep(self._pause)
                self._pause = min(2 * self._pause, PAUSE_SECONDS_MAX)
                raise InvalidError("the token has run out, or was used: 'drystone cluster token' makes another")
            self._pause = PAUSE_SECONDS
            known = await self._check_name(ask, TOKEN_CODEC.decode(token.value))
            await self._check_reachable(ask)
            return await self._admit(ask, token, known)

    async def _check_name(self, ask: Ask, token: TokenRecord) -> StoredNode:
        """Raises ConflictError, with the next step, where the name is not to be had with this token."""
        if token.name and token.name != ask.name:
            raise ConflictError(f"this token is for node {token.name}: join with --name {token.name}")
        known = await find_node(self._registry, ask.name)
        if known.record is None:
            return known
        if await self._registry.get(live_key(ask.name)) is not None:
            raise ConflictError(f"node {ask.name} is there and runs: choose another --name, or stop it first")
        if known.record.state is not State.JOINING and not (ask.replace or token.name):
            raise ConflictError(
                f"there is a node {ask.name}, which does not run: choose another --name, or, if this is that node made "
                "anew, say --replace: what it was before is refused from then on"
            )
        return known

    async def _check_reachable(self, ask: Ask) -> None:
        """Raises InvalidError where the one who asks is not who is reached at its address."""
        said = bytearray()
        why = f"it does not answer within {REACH_SECONDS:.0f} s"
        with trio.move_on_after(REACH_SECONDS):
            try:
                stream = await self._links.network.dial(ask.address)
                try:
                    while len(said) < PROBE_BYTES:
                        received = await stream.receive_some(PROBE_BYTES - len(said))
                        if not received:
                            break
                        said += received
                finally:
                    await trio.aclose_forcefully(stream)
                why = "somebody else listens there"
            except (OSError, ValueError, OverflowError, trio.BrokenResourceError) as error:
                why = str(error)
        if said != ask.probe:
            raise InvalidError(
                f"{ask.address} cannot be reached from node {self._links.identity.name} ({why}): give --listen the "
                "address by which other nodes reach this one, and let them through to it"
            )

    async def _admit(self, ask: Ask, token: Item, known: StoredNode) -> Welcome:
        authority = await find_authority(self._registry)
        if authority is None:
            raise DamageError("the registry has lost the cluster's authority")
        cluster, now_us = self._cluster, self._clock.wall_us()
        now = datetime.datetime.fromtimestamp(now_us / 1e6, datetime.UTC)
        host, _ = split_address(ask.address)
        certificate = sign_request(authority, ask.request, ask.name, cluster.id.hex(), now, host)
        serial = serial_of(certificate)
        record = NodeRecord(ask.address, ask.region, ask.zone, ask.machine, State.JOINING, serial, now_us)
        revoked = [put_revoked(known.record.serial)] if known.record is not None else []
        result = await self._registry.transact(
            [
                Compare.unchanged(token.key, token.mod_revision),
                Compare.unchanged(node_key(ask.name), known.revision),
                Compare.absent(live_key(ask.name)),
            ],
            [Delete(token.key), Put(node_key(ask.name), NODE_CODEC.encode(record)), *revoked],
        )
        if not result.succeeded:
            raise ConflictError(f"somebody else joins as {ask.name}, or has used the token: try again")
        log.info("a node joins", node=ask.name, address=ask.address)
        policies = [list(astuple(policy)) for policy in cluster.policies]
        identity = self._links.identity
        return Welcome(
            certificate,
            cluster.id,
            cluster.key,
            policies,
            identity.registry,
            identity.registry_address,
            list(identity.etcd),
        )
