"""OAuth 2.0's way to carry a token: `Authorization: Bearer ...` (RFC 6750, section 2.1)."""

from __future__ import annotations


def bearer_token(authorization: str) -> str:
    """The token in a header `Authorization`; "" where it has none of this kind."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
