"""Mutual TLS between the processes of a cluster: both sides show a certificate of the cluster's authority, and whoever
dials a node finds that node or nobody."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import trio

from store.core.network import Network
from store.wire.authority import node_name
from store.wire.errors import UnreachableError
from store.wire.link import HELLO_SECONDS


class Credentials(NamedTuple):
    """Paths of the files of a node: the authority's certificate, its own, and its key, as PEM."""

    authority: str
    certificate: str
    key: str


def client_context(credentials: Credentials) -> ssl.SSLContext:
    """For who dials."""
    return _context(credentials, ssl.PROTOCOL_TLS_CLIENT)


class Shown(NamedTuple):
    """What the certificate of who dialled says: its name, and its serial number in hexadecimal."""

    name: str
    serial: str


def server_context(credentials: Credentials, *, strangers: bool = False) -> ssl.SSLContext:
    """For who listens: without a certificate of the cluster nobody gets anything. With `strangers` who shows none at
    all is let in, too, and told from the others by that (`greet`)."""
    context = _context(credentials, ssl.PROTOCOL_TLS_SERVER)
    if strangers:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def stranger_context(authority: str | None) -> ssl.SSLContext:
    """For who dials and has no certificate yet; with the authority's certificate (PEM), whose nodes alone are believed.
    Without it nobody is verified: what is heard so must be verified otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # who dials knows no name: any node of the cluster will do
    if authority is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=authority)
    return context


def _context(credentials: Credentials, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = protocol == ssl.PROTOCOL_TLS_CLIENT
    context.load_verify_locations(credentials.authority)
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


async def dial_stranger(network: Network, address: str, context: ssl.SSLContext) -> tuple[trio.abc.Stream, bytes]:
    """A stream to whatever node is at this address, and its certificate as DER. Raises UnreachableError."""
    try:
        with trio.fail_after(HELLO_SECONDS):
            plain = await network.dial(address)
            stream = await _shake(trio.SSLStream(plain, context, https_compatible=True))
    except trio.TooSlowError as error:
        raise UnreachableError(f"nobody at {address} answers within {HELLO_SECONDS:.0f} s") from error
    except (OSError, ValueError, OverflowError) as error:
        raise UnreachableError(f"{address} cannot be reached: {error}") from error
    except trio.BrokenResourceError as error:
        raise UnreachableError(f"{address}: {_reason(error)}") from error
    return stream, stream.getpeercert(binary_form=True) or b""


async def dial(network: Network, address: str, node: str, cluster: str, context: ssl.SSLContext) -> trio.abc.Stream:
    """A stream to a node. Raises UnreachableError where it is not there, or is not who it should be."""
    try:
        with trio.fail_after(HELLO_SECONDS):
            plain = await network.dial(address)
            stream = trio.SSLStream(plain, context, server_hostname=node_name(node, cluster), https_compatible=True)
            return await _shake(stream)
    except trio.TooSlowError as error:
        raise UnreachableError(f"node {node} at {address} did not answer within {HELLO_SECONDS:.0f} s") from error
    except (OSError, ValueError, OverflowError) as error:  # the address may be none
        raise UnreachableError(f"node {node} at {address} cannot be reached: {error}") from error
    except trio.BrokenResourceError as error:
        raise UnreachableError(f"node {node} at {address}: {_reason(error)}") from error


async def accept(plain: trio.abc.Stream, context: ssl.SSLContext) -> tuple[trio.abc.Stream, str]:
    """The stream of who dialled here, and the name in the certificate. Raises UnreachableError."""
    stream, shown = await greet(plain, context)
    if shown is None:
        await trio.aclose_forcefully(stream)
        raise UnreachableError("somebody who shows no certificate")
    return stream, shown.name


async def greet(plain: trio.abc.Stream, context: ssl.SSLContext) -> tuple[trio.abc.Stream, Shown | None]:
    """The stream of who dialled here, and what its certificate says; None where the context lets strangers in, and this
    is one. Raises UnreachableError."""
    stream = trio.SSLStream(plain, context, server_side=True, https_compatible=True)
    try:
        with trio.fail_after(HELLO_SECONDS):
            await _shake(stream)
    except (trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
        raise UnreachableError(f"somebody who is not of this cluster: {_reason(error)}") from error
    certificate: dict[str, Any] = stream.getpeercert()
    if not certificate:
        return stream, None
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        await trio.aclose_forcefully(stream)
        raise UnreachableError("somebody whose certificate names no node")
    return stream, Shown(names[0], f"{int(certificate['serialNumber'], 16):x}")


async def _shake(stream: trio.SSLStream[trio.abc.Stream]) -> trio.SSLStream[trio.abc.Stream]:
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def _reason(error: BaseException) -> str:
    return str(error.__cause__ or error or type(error).__name__)


def accepting(
    context: ssl.SSLContext, serve: Callable[[trio.abc.Stream, str], Awaitable[None]], refused: Callable[[str], None]
) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """What a listener does with each stream: `serve` it, with the name in the certificate of who dialled, or say why it
    was `refused`."""

    async def take(plain: trio.abc.Stream) -> None:
        try:
            stream, name = await accept(plain, context)
        except UnreachableError as error:
            refused(str(error))
            return
        await serve(stream, name)

    return take
