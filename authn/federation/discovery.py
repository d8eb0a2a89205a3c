"""A provider's own description (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authn.federation.provider import OpenIDProvider
from authn.federation.provider_http import ProviderAwayError, ProviderHttp


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider answers what; empty where it does not."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    introspection_endpoint: str
    userinfo_endpoint: str
    secret_in_body: bool
    """It takes a client's secret in the form only."""
    names_itself: bool
    """It tells its issuer when it sends users back (RFC 9207)."""


async def discover(provider: OpenIDProvider, http: ProviderHttp) -> Metadata:
    """Asks for the description. Raises ProviderAwayError, also for one that is not the issuer's."""
    answer = await http.get(f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    return parse_metadata(provider, answer.body)


def parse_metadata(provider: OpenIDProvider, body: Mapping[str, Any]) -> Metadata:
    """Raises ProviderAwayError for a description of another issuer, or with addresses at hosts that are not its own."""
    if body.get("issuer") != provider.issuer:
        raise ProviderAwayError(f"{provider.issuer} describes itself as another issuer")
    methods = body.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    in_body = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    return Metadata(
        authorization_endpoint=_address(provider, body, "authorization_endpoint"),
        token_endpoint=_address(provider, body, "token_endpoint"),
        jwks_uri=_address(provider, body, "jwks_uri"),
        introspection_endpoint=_address(provider, body, "introspection_endpoint"),
        userinfo_endpoint=_address(provider, body, "userinfo_endpoint"),
        secret_in_body=in_body,
        names_itself=body.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(provider: OpenIDProvider, body: Mapping[str, Any], name: str) -> str:
    url = body.get(name, "")
    if not isinstance(url, str) or (url and not provider.may_be_asked(url)):
        raise ProviderAwayError(f"{provider.issuer} has its {name} at a host that is not known to be its own")
    return url
