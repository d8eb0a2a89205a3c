"""Whether what a token says lets it count here and now (OpenID Connect Core 1.0, 3.1.3.7; RFC 9068; RFC 7662)."""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from typing import Any, Final

from authn.errors import UnauthorizedError
from authn.federation.provider import OpenIDProvider

Claims = Mapping[str, Any]

LEEWAY_SECONDS: Final = 60.0
"""That clocks may differ by."""


def check_id_token(provider: OpenIDProvider, claims: Claims, now: float, nonce: str) -> None:
    """Raise UnauthorizedError unless it is the answer to the login with that nonce. `now` is in seconds."""
    _check_issuer(provider, claims)
    _check_times(claims, now)
    audiences = _audiences(claims)
    if provider.client_id not in audiences:
        raise UnauthorizedError("The token is for others.")
    party = claims.get("azp")
    if (len(audiences) > 1 or party is not None) and party != provider.client_id:
        raise UnauthorizedError("The token was given out to others.")
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(errors="replace"), nonce.encode()):
        raise UnauthorizedError("The token is of another login.")
    _check_subject(claims)


def check_access_token(provider: OpenIDProvider, claims: Claims, now: float) -> None:
    """Raise UnauthorizedError unless a signed token that somebody brought was made for us. An ID token of ours counts,
    too: stock clients may be told to bring it. `now` is in seconds."""
    _check_issuer(provider, claims)
    _check_times(claims, now)
    _check_audience(provider, claims)
    _check_subject(claims)


def check_introspection(provider: OpenIDProvider, claims: Claims, now: float) -> None:
    """Raise UnauthorizedError unless the provider said that an opaque token holds, and is for us: either it tells for
    whom it was made, or to whom it was given out. `now` is in seconds."""
    if claims.get("active") is not True:
        raise UnauthorizedError("The token does not hold.")
    if "iss" in claims:
        _check_issuer(provider, claims)
    if "exp" in claims:
        _check_times(claims, now)
    if "aud" in claims:
        _check_audience(provider, claims)
    elif claims.get("client_id") != provider.client_id:
        raise UnauthorizedError("The token was given out to others.")


def _check_issuer(provider: OpenIDProvider, claims: Claims) -> None:
    if claims.get("iss") != provider.issuer:
        raise UnauthorizedError("The token is of another issuer.")


def _check_audience(provider: OpenIDProvider, claims: Claims) -> None:
    if not {provider.client_id, *provider.audiences}.isdisjoint(_audiences(claims)):
        return
    parties = (claims.get("azp"), claims.get("client_id"))
    if not (provider.own_tokens and provider.client_id in parties):
        raise UnauthorizedError("The token is for others.")


def _check_subject(claims: Claims) -> None:
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise UnauthorizedError("The token names nobody.")


def _check_times(claims: Claims, now: float) -> None:
    if _seconds(claims, "exp", -math.inf) <= now - LEEWAY_SECONDS:
        raise UnauthorizedError("The token has ended.")
    for name in ("nbf", "iat"):
        if _seconds(claims, name, -math.inf) > now + LEEWAY_SECONDS:
            raise UnauthorizedError("The token is not good yet.")


def _seconds(claims: Claims, name: str, default: float) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnauthorizedError(f"The token's {name} is no time.")
    return value


def _audiences(claims: Claims) -> frozenset[str]:
    told = claims.get("aud", [])
    several = told if isinstance(told, list) else [told]
    return frozenset(one for one in several if isinstance(one, str))
