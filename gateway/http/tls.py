"""TLS settings for the server."""

from __future__ import annotations

import ssl
from os import PathLike
from typing import Any, Final

import trio

_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def server_context(
    certificate: str | PathLike[str],
    key: str | PathLike[str] | None = None,
    client_ca: str | PathLike[str] | None = None,
) -> ssl.SSLContext:
    """A context with this certificate chain (and its key, if not in the same file): TLS 1.2 and 1.3, forward secrecy
    and authenticated ciphers only, HTTP/1.1 as the only protocol on offer.

    With `client_ca`, certificates of authorities, clients may show a certificate; one that none of these has signed
    ends the handshake. Raises OSError for files that are none of these.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def tls_extension(stream: trio.SSLStream[trio.SocketStream]) -> dict[str, Any]:
    """What applications are told of a connection, by ASGI's TLS extension (version 0.2). The chain has the client's own
    certificate, once it is verified, and not those between it and its authority."""
    der = stream.getpeercert(binary_form=True)
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(stream.version()),
        "cipher_suite": None,
    }
