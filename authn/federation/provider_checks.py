"""What works at a provider, step by step, for an operator who sets it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from authn.errors import UnauthorizedError
from authn.federation.discovery import Metadata, discover
from authn.federation.openid import RelyingParty
from authn.federation.provider import OpenIDProvider
from authn.federation.provider_http import ProviderAwayError, ProviderHttp
from authn.federation.signing_keys import parse_keys
from authn.federation.token_checks import Claims
from store.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Check:
    """One step. `good` is None where there was nothing to try; `next_step` says what to do where it is False."""

    what: str
    good: bool | None
    said: str
    next_step: str = ""


class ProviderChecks:
    """After `run`, `claims` are those of our own token, where the provider gave one out."""

    def __init__(self, provider: OpenIDProvider, http: httpx.AsyncClient, clock: Clock) -> None:
        self._provider = provider
        self._http = ProviderHttp(provider, http)
        self._party = RelyingParty(provider, http, clock)
        self.claims: Claims | None = None

    async def run(self) -> AsyncIterator[Check]:
        """Discovery, keys, client credentials; none after one that the others need."""
        issuer = self._provider.issuer
        try:
            metadata = await discover(self._provider, self._http)
        except ProviderAwayError as error:
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            yield Check(
                "discovery",
                False,
                str(error),
                f"look at {url} from this machine: 'issuer' there must be {issuer!r} letter by letter, and all "
                "addresses at its host or at one of 'hosts'",
            )
            return
        yield Check("discovery", True, f"{issuer} describes itself")
        yield await self._keys(metadata)
        yield await self._client_credentials(metadata)

    async def _keys(self, metadata: Metadata) -> Check:
        what = "keys"
        if not metadata.jwks_uri:
            return Check(what, False, "it has no set of keys", "signed tokens need a jwks_uri in its description")
        try:
            answer = await self._http.get(metadata.jwks_uri)
        except ProviderAwayError as error:
            return Check(what, False, str(error), f"look at {metadata.jwks_uri} from this machine")
        found = parse_keys(answer.body).keys
        if not found:
            return Check(
                what,
                False,
                f"{metadata.jwks_uri} has no key that is taken",
                "let it sign with RS256, PS256, ES256 or Ed25519",
            )
        names = ", ".join(key.key_id or "(no name)" for key in found)
        return Check(what, True, f"{len(found)} public: {names}")

    async def _client_credentials(self, metadata: Metadata) -> Check:
        what = "client credentials"
        if not self._provider.client_secret:
            return Check(what, None, "a public client, without a secret, has none")
        if not metadata.token_endpoint:
            return Check(what, False, "it has no token endpoint", "clients and browsers need one in its description")
        try:
            form = {"grant_type": "client_credentials"}
            answer = await self._http.post(metadata.token_endpoint, form, secret_in_body=metadata.secret_in_body)
        except ProviderAwayError as error:
            return Check(what, False, str(error), f"see that this machine reaches {metadata.token_endpoint}")
        error_code = answer.body.get("error")
        if answer.status == 401 or error_code == "invalid_client":
            return Check(
                what,
                False,
                f"it does not take the client {self._provider.client_id}, or its secret",
                "compare client_id and client_secret with what the provider has; some want the secret set anew",
            )
        if answer.status != 200:
            # Which is no fault: that it got so far says that the secret is right.
            return Check(what, None, f"the secret is right; it gives out none for this client ({error_code})")
        return await self._own_token(what, answer.body)

    async def _own_token(self, what: str, body: dict[str, Any]) -> Check:
        token = body.get("access_token")
        try:
            self.claims = await self._party.claims_of_bearer(token if isinstance(token, str) else "")
        except UnauthorizedError as error:
            return Check(
                what,
                False,
                f"it gives out a token that does not count: {error}",
                "a token for others needs its 'aud' in audiences, or own_tokens = true",
            )
        except ProviderAwayError as error:
            return Check(what, False, str(error), "let this client ask its introspection endpoint")
        return Check(what, True, f"a token of our own counts, with the claims {', '.join(sorted(self.claims))}")
