"""Joining a cluster: from a token to a data folder whose node is a member.

Everything is asked for before anything is written. The answer of the cluster is written under the mark of a first start
(`founding`): a join that dies on its way has left nothing that a start would take for a node, and what the registry
says of it then, `joining`, binds nobody. That this node is a member is said last, by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from drystone.cluster import Cluster, save_cluster
from drystone.etcd_node import prefix_of
from drystone.folder import DataFolder
from drystone.founding import is_new, making
from drystone.join_service import ASK, AUTHORITY, PROBE_BYTES, REACH_SECONDS, Ask, Welcome, parse_ask
from drystone.join_tokens import Token, is_of_token
from drystone.links import Links, hello_of
from drystone.members import say_member
from drystone.node_identity import NodeIdentity, credentials_of, find_identity, save_identity
from drystone.node_records import split_address
from store.core.beside import beside
from store.core.entropy import Random
from store.core.errors import ConflictError, InvalidError, RetryableError
from store.core.network import Network
from store.objects.model import Policy
from store.registry import Registry
from store.registry.etcd import EtcdRegistry, Tls, open_client
from store.registry.served import ServedRegistry
from store.wire.authority import cluster_of, is_of, make_request, serial_of
from store.wire.client import WireClient
from store.wire.errors import UnreachableError
from store.wire.tls import dial_stranger, stranger_context

ANSWER_SECONDS = 60.0
"""For a join: others may come first, and who dials back may need to be waited for."""
SAY_SECONDS = 15.0


@dataclass(frozen=True)
class Newcomer:
    """Who is to join. `replace`: also in the place of a node of that name that is gone."""

    name: str
    address: str
    region: int
    zone: int
    machine: str
    replace: bool = False


@dataclass(frozen=True)
class Joined:
    """What came of it. `trouble`: why the registry does not know yet that it is a member; the first start says so."""

    identity: NodeIdentity
    trouble: str = ""


async def join(
    folder: DataFolder, seed: str, token: Token, newcomer: Newcomer, network: Network, random: Random
) -> Joined:
    """Become a node of the cluster whose node listens at `seed`. Raises DrystoneError, with the reason and the next
    step; then nothing is left in the folder."""
    if not is_new(folder):
        before = find_identity(folder)
        if before is not None:
            raise InvalidError(f"{folder.path} is node {before.name} already: start it with 'drystone up'")
        raise InvalidError(f"{folder.path} is in use: join with an empty data folder (--data)")
    split_address(seed)
    probe = random.bytes(PROBE_BYTES)
    ask = Ask(
        token.secret, newcomer.name, newcomer.address, newcomer.region, newcomer.zone, newcomer.machine, b"", probe,
        newcomer.replace,
    )  # fmt: skip
    parse_ask(list(ask))
    async with _answering(newcomer.address, probe):
        cluster, authority = await _find_authority(network, seed, token)
        request, key = make_request(newcomer.name, cluster)
        context = stranger_context(authority.decode())
        answer = await _ask(network, seed, context, cluster, newcomer.name, ASK, ask._replace(request=request))
        welcome = _welcome(answer, authority, cluster)
    identity = NodeIdentity(
        newcomer.name, newcomer.address, newcomer.region, newcomer.zone, newcomer.machine,
        welcome.registry, welcome.registry_address, tuple(welcome.etcd),
    )  # fmt: skip
    known = Cluster(welcome.cluster, welcome.key, tuple(Policy(*policy) for policy in welcome.policies))
    with making(folder, []):
        save_identity(folder, identity, authority, welcome.certificate, key)
        save_cluster(folder, known)
    try:
        async with _registry(folder, Links(folder, known, identity, network)) as registry:
            with trio.fail_after(SAY_SECONDS):
                await say_member(registry, identity.name, serial_of(welcome.certificate))
    except (RetryableError, trio.TooSlowError) as error:
        return Joined(identity, str(error) or f"no answer within {SAY_SECONDS:.0f} s")
    return Joined(identity)


@asynccontextmanager
async def _registry(folder: DataFolder, links: Links) -> AsyncIterator[Registry]:
    if links.identity.etcd:
        files = credentials_of(folder)
        async with open_client(links.identity.etcd, Tls(files.authority, files.certificate, files.key)) as client:
            yield EtcdRegistry(client, prefix_of(links.cluster))
    else:
        async with linked_registry(links) as registry:
            yield registry


@asynccontextmanager
async def linked_registry(links: Links) -> AsyncIterator[ServedRegistry]:
    """The registry of another node, for a short while."""
    client = links.to_registry()
    async with beside(client.run):
        yield ServedRegistry(client)


@asynccontextmanager
async def _answering(address: str, probe: bytes) -> AsyncIterator[None]:
    """Who dials this node's address finds that it is the one who asks."""
    host, port = split_address(address)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise InvalidError(f"cannot listen on {address}: {error.strerror or error}") from error

    async def answer(stream: trio.SocketStream) -> None:
        try:
            with trio.move_on_after(REACH_SECONDS):
                await stream.send_all(probe)
                await stream.receive_some()
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with beside(trio.serve_listeners, answer, listeners):
        yield


async def _find_authority(network: Network, seed: str, token: Token) -> tuple[str, bytes]:
    """The cluster's id and its authority's certificate, which is the one that the token names."""
    context = stranger_context(None)
    try:
        stream, shown = await dial_stranger(network, seed, context)
    except UnreachableError as error:
        raise UnreachableError(
            f"{error}. Is 'drystone up' running there, and is this the address of its --listen?"
        ) from error
    await trio.aclose_forcefully(stream)
    cluster = cluster_of(shown)
    authority = await _ask(network, seed, context, cluster, "", AUTHORITY, ())
    if not isinstance(authority, bytes) or not is_of_token(authority, token):
        raise InvalidError(
            f"{seed} is not of the cluster that the token is for, or somebody is in between: check the address, and "
            "copy the token anew"
        )
    return cluster, authority


async def _ask(
    network: Network, seed: str, context: Any, cluster: str, name: str, method: str, arguments: tuple[Any, ...]
) -> Any:
    async def dial() -> trio.abc.Stream:
        return (await dial_stranger(network, seed, context))[0]

    client = WireClient(dial, hello_of(cluster, name))
    async with beside(client.run):
        with trio.move_on_after(ANSWER_SECONDS):
            await client.wait_up()
            return (await client.call(method, arguments)).result
        raise UnreachableError(f"{seed} did not answer within {ANSWER_SECONDS:.0f} s: {client.why}")


def _welcome(answer: Any, authority: bytes, cluster: str) -> Welcome:
    """Raises ConflictError for what is no answer of a node of this cluster."""
    try:
        welcome = Welcome(*answer[: len(Welcome._fields)])
        whole = is_of(welcome.certificate, authority) and welcome.cluster.hex() == cluster
    except (TypeError, AttributeError, InvalidError):
        whole = False
    if not whole:
        raise ConflictError("what was answered is no membership of this cluster: the program there is newer, or broken")
    return welcome
