"""TLS settings for the server."""

from __future__ import annotations

import ssl
from os import PathLike


def server_context(
    certificate: str | PathLike[str], key: str | PathLike[str] | None, authority: str | PathLike[str]
) -> ssl.SSLContext:
    """A context with this certificate chain (and its key, if not in the same file), for clients whose certificates
    `authority` has signed: TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
