"""Who is of the cluster, and who is whom."""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from store.core.errors import InvalidError
from store.core.network import SystemNetwork
from store.wire.authority import Identity, fingerprint, is_of, issue, make_authority, make_request, sign_request
from store.wire.client import WireClient
from store.wire.errors import UnreachableError
from store.wire.server import Peer, serve_link
from store.wire.tls import Credentials, accept, accepting, client_context, dial, server_context
from tests.wire.pairs import hello

NOW = datetime.datetime.now(datetime.UTC)
CLUSTER = "c1"


class Pair:
    """A network on which one node listens."""

    def __init__(self, serve: Callable[[trio.abc.Stream], Awaitable[None]], nursery: trio.Nursery) -> None:
        self._serve = serve
        self._nursery = nursery

    async def dial(self, _address: str) -> trio.abc.Stream:
        here, there = memory_stream_pair()
        self._nursery.start_soon(self._serve, there)
        return here

    async def listen(self, address: str, accept: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        raise NotImplementedError


def credentials(folder: Path, name: str, authority: bytes, identity: Identity) -> Credentials:
    paths = [os.path.join(folder, f"{name}.{kind}") for kind in ("authority", "certificate", "key")]
    for path, pem in zip(paths, (authority, *identity), strict=True):
        with open(path, "wb") as file:
            file.write(pem)
    return Credentials(*paths)


async def meet(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "b") -> tuple[str, bytes]:
    """The name of who dialled, and what it sent."""
    seen: list[tuple[str, bytes]] = []

    async def serve(plain: trio.abc.Stream) -> None:
        try:
            stream, who = await accept(plain, server)
            seen.append((who, bytes(await stream.receive_some())))
            await stream.send_all(b"pong")
        except (UnreachableError, trio.BrokenResourceError):
            pass
        await trio.aclose_forcefully(plain)

    why = "no answer"
    async with trio.open_nursery() as nursery:
        try:
            stream = await dial(Pair(serve, nursery), "x:1", name, CLUSTER, client)
            await stream.send_all(b"ping")
            if bytes(await stream.receive_some()) == b"pong":
                return seen[0]
        except (trio.BrokenResourceError, UnreachableError) as error:
            why = str(error)
    raise UnreachableError(why)


async def test_nodes_of_a_cluster_know_each_other_by_name(tmp_path: Path) -> None:
    authority = make_authority(CLUSTER, NOW)
    a = credentials(tmp_path, "a", authority.certificate, issue(authority, "a", CLUSTER, NOW))
    b = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    assert await meet(server_context(b), client_context(a)) == ("a.c1.drystone", b"ping")


async def test_who_has_no_certificate_of_the_cluster_gets_nothing(tmp_path: Path) -> None:
    authority, other = make_authority(CLUSTER, NOW), make_authority(CLUSTER, NOW)
    ours = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    theirs = credentials(tmp_path, "x", authority.certificate, issue(other, "a", CLUSTER, NOW))
    none = client_context(ours)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(ours.authority)
    for context in (client_context(theirs), bare):
        with pytest.raises(UnreachableError):
            await meet(server_context(ours), context)
    with pytest.raises(UnreachableError):
        await meet(server_context(theirs), none)


async def test_another_node_is_not_taken_for_the_one_that_was_dialled(tmp_path: Path) -> None:
    authority = make_authority(CLUSTER, NOW)
    b = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    with pytest.raises(UnreachableError, match=r"[Hh]ostname"):
        await meet(server_context(b), client_context(b), name="c")


async def test_a_certificate_that_has_run_out_is_none(tmp_path: Path) -> None:
    authority = make_authority(CLUSTER, NOW)
    past = NOW - datetime.timedelta(days=5000)
    old = credentials(tmp_path, "a", authority.certificate, issue(authority, "a", CLUSTER, past))
    b = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    with pytest.raises(UnreachableError):
        await meet(server_context(b), client_context(old))
    with pytest.raises(UnreachableError):
        await meet(server_context(old), client_context(b), name="a")


@pytest.mark.parametrize(("says", "served"), [("a", True), ("b", False), ("", False), ("A", False)])
async def test_who_says_to_be_another_node_than_its_certificate_does_gets_nothing(
    tmp_path: Path, says: str, served: bool
) -> None:
    authority = make_authority(CLUSTER, NOW)
    a = credentials(tmp_path, "a", authority.certificate, issue(authority, "a", CLUSTER, NOW))
    b = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    peers: list[Peer] = []

    async def serve(stream: trio.abc.Stream, name: str) -> None:
        await serve_link(stream, hello("b", cluster=CLUSTER), [peers.append], name=name)

    async with trio.open_nursery() as nursery:
        network = Pair(accepting(server_context(b), serve, lambda _why: None), nursery)
        client = WireClient(lambda: dial(network, "x:1", "b", CLUSTER, client_context(a)), hello(says, cluster=CLUSTER))
        nursery.start_soon(client.run)
        with trio.move_on_after(10):
            while not peers and "certificate" not in client.why:
                await trio.sleep(0.01)
        assert bool(peers) == served
        assert client.up == served
        nursery.cancel_scope.cancel()


async def test_a_certificate_without_a_name_is_nobodys(tmp_path: Path) -> None:
    authority = make_authority(CLUSTER, NOW)
    b = credentials(tmp_path, "b", authority.certificate, issue(authority, "b", CLUSTER, NOW))
    nameless = credentials(tmp_path, "n", authority.certificate, authority)  # the authority's own has no DNS name
    with pytest.raises(UnreachableError):
        await meet(server_context(b), client_context(nameless))


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:x", "127.0.0.1:99999999", "a..b:1", ":"])
async def test_an_address_that_is_none_is_not_reached(tmp_path: Path, address: str) -> None:
    authority = make_authority(CLUSTER, NOW)
    a = credentials(tmp_path, "a", authority.certificate, issue(authority, "a", CLUSTER, NOW))
    with pytest.raises(UnreachableError):
        await dial(SystemNetwork(), address, "b", CLUSTER, client_context(a))


def test_the_authority_names_the_node_whatever_the_request_says() -> None:
    authority = make_authority(CLUSTER, NOW)
    request, _ = make_request("root", "other")
    certificate = sign_request(authority, request, "n7", CLUSTER, NOW)
    assert is_of(certificate, authority.certificate)
    assert not is_of(certificate, make_authority(CLUSTER, NOW).certificate)
    assert b"root" not in certificate
    assert len(fingerprint(authority.certificate)) == 64
    assert fingerprint(authority.certificate) != fingerprint(certificate)


@pytest.mark.parametrize("request_", [b"", b"rubbish", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request_is_refused(request_: bytes) -> None:
    with pytest.raises(InvalidError):
        sign_request(make_authority(CLUSTER, NOW), request_, "n", CLUSTER, NOW)
