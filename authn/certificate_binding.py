"""Tokens that are bound to a client's certificate (RFC 8705, section 3).

Such a token is good only on a connection whose client has shown that certificate, so who steals the token alone has
nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

NO_CERTIFICATE: Final = ""


def shown_certificate(scope: Mapping[str, Any]) -> str:
    """The certificate that the client of a request has shown and the TLS server has verified, in PEM (ASGI's extension
    `tls`); NO_CERTIFICATE where there is none."""
    tls = scope.get("extensions", {}).get("tls", {})
    chain = tls.get("client_cert_chain", ())
    return chain[0] if chain and tls.get("client_cert_error") is None else NO_CERTIFICATE


def thumbprint(certificate: str) -> bytes:
    """SHA-256 of a certificate's text in PEM, which is what Keystone and keystonemiddleware compare (the RFC: of its
    DER)."""
    return hashlib.sha256(certificate.encode()).digest()


def thumbprint_text(digest: bytes) -> str:
    """As a token's `oauth2_credential` says it."""
    return base64.urlsafe_b64encode(digest).decode()


def is_shown(bound_to: bytes, certificate: str) -> bool:
    """Whether a token may be used by a client who has shown `certificate`. `bound_to` is the token's thumbprint; empty
    where anybody may carry it."""
    return not bound_to or hmac.compare_digest(bound_to, thumbprint(certificate))
