"""TLS settings for the server."""

from __future__ import annotations

import ssl
from os import PathLike


def server_context(certificate: str | PathLike[str], key: str | PathLike[str] | None = None) -> ssl.SSLContext:
    """A context with this certificate chain (and its key, if not in the same file): TLS 1.2 and 1.3, forward secrecy
    and authenticated ciphers only, HTTP/1.1 as the only protocol on offer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context
