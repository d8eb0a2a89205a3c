"""The relying party of OpenID Connect: who a token or a login at a provider is of, in the provider's words."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from authn.errors import UnauthorizedError
from authn.federation.discovery import Metadata, discover
from authn.federation.login_state import LoginState
from authn.federation.provider import OpenIDProvider
from authn.federation.provider_http import Answer, ProviderAwayError, ProviderHttp
from authn.federation.remembered import Remembered
from authn.federation.signing_keys import TOKEN_CHARACTERS_MAX, Header, SigningKeys, parse_header, parse_keys
from authn.federation.token_checks import Claims, check_access_token, check_id_token, check_introspection
from store.core.clock import Clock

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1."""


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """The query that a browser brings back; empty where there is none of a name."""

    code: str
    state: str
    error: str
    issuer: str

    @classmethod
    def of(cls, query: Mapping[str, str]) -> ProviderAnswer:
        return cls(*(query.get(name, "") for name in ("code", "state", "error", "iss")))


class RelyingParty:
    """We, towards one provider. Everything may raise ProviderAwayError, which says why, and UnauthorizedError."""

    def __init__(self, provider: OpenIDProvider, http: httpx.AsyncClient, clock: Clock) -> None:
        self.provider = provider
        self._http = ProviderHttp(provider, http)
        self._clock = clock
        self._metadata: Remembered[Metadata] = Remembered(clock, lambda: discover(provider, self._http))
        self._keys: Remembered[SigningKeys] = Remembered(clock, self._ask_for_keys)

    async def claims_of_bearer(self, token: str) -> Claims:
        """What a token that somebody brought says of them. One that is signed counts until it ends; the provider is
        asked about any other, each time, and whose it is."""
        if len(token) > TOKEN_CHARACTERS_MAX or not _TOKEN.fullmatch(token):
            raise UnauthorizedError("This is no access token.")
        header = parse_header(token)
        if header is not None:
            claims = await self._signed_claims(token, header)
            check_access_token(self.provider, claims, self._now())
            return claims
        claims = await self._introspect(token)
        return await self._with_userinfo(claims, token)

    async def login_url(self, login: LoginState) -> str:
        """Where to send a browser for that login (the authorization code flow, with PKCE)."""
        metadata = await self._metadata.get()
        endpoint = self._required(metadata.authorization_endpoint, "authorization endpoint")
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": login.redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def claims_of_login(self, login: LoginState, answer: ProviderAnswer) -> Claims:
        """What the provider says of who came back from that login."""
        metadata = await self._metadata.get()
        if not hmac.compare_digest(answer.state.encode(errors="replace"), login.state.encode()):
            raise UnauthorizedError("The answer is to another login.")
        if answer.issuer not in ({self.provider.issuer} if metadata.names_itself else {"", self.provider.issuer}):
            raise UnauthorizedError("The answer is of another provider.")
        if answer.error or not answer.code:
            raise UnauthorizedError("The identity provider let nobody in.")
        tokens = await self._redeem(metadata, login, answer.code)
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        header = parse_header(id_token) if isinstance(id_token, str) else None
        if header is None or not isinstance(id_token, str):
            raise UnauthorizedError("The identity provider gave no ID token.")
        claims = await self._signed_claims(id_token, header)
        check_id_token(self.provider, claims, self._now(), login.nonce)
        return await self._with_userinfo(claims, access_token) if isinstance(access_token, str) else claims

    async def _signed_claims(self, token: str, header: Header) -> Claims:
        keys = await self._keys.get()
        try:
            return keys.claims(token, header)
        except UnauthorizedError:
            if keys.knows(header):
                raise
        return (await self._keys.newer()).claims(token, header)

    async def _redeem(self, metadata: Metadata, login: LoginState, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": login.redirect_uri,
            "code_verifier": login.verifier,
        }
        answer = await self._post(metadata, self._required(metadata.token_endpoint, "token endpoint"), form)
        if answer.status != 200:
            raise UnauthorizedError("The identity provider does not take the code.")
        return answer.body

    async def _introspect(self, token: str) -> Claims:
        metadata = await self._metadata.get()
        if not metadata.introspection_endpoint:
            raise UnauthorizedError("The token is not signed, and the identity provider tells nothing of such.")
        form = {"token": token, "token_type_hint": "access_token"}
        answer = await self._post(metadata, metadata.introspection_endpoint, form)
        if answer.status != 200:
            raise ProviderAwayError(f"{self.provider.issuer} answers introspection with status {answer.status}")
        check_introspection(self.provider, answer.body, self._now())
        return {"iss": self.provider.issuer, **answer.body}

    async def _with_userinfo(self, claims: Claims, access_token: str) -> Claims:
        """The claims and those that the provider has besides; what is signed or introspected counts first. A token that
        is good for no user, such as a client's own, has none."""
        metadata = await self._metadata.get()
        if not metadata.userinfo_endpoint or not claims.get("sub"):
            return claims
        answer = await self._http.get(metadata.userinfo_endpoint, bearer=access_token)
        if answer.status != 200:
            return claims
        if answer.body.get("sub") != claims["sub"]:
            raise UnauthorizedError("The identity provider tells of somebody else.")
        return {**answer.body, **claims}

    async def _post(self, metadata: Metadata, url: str, form: Mapping[str, str]) -> Answer:
        answer = await self._http.post(url, form, secret_in_body=metadata.secret_in_body)
        if answer.status == 401 or answer.body.get("error") in ("invalid_client", "unauthorized_client"):
            raise ProviderAwayError(f"{self.provider.issuer} does not take this client, or its secret")
        return answer

    async def _ask_for_keys(self) -> SigningKeys:
        metadata = await self._metadata.get()
        answer = await self._http.get(self._required(metadata.jwks_uri, "set of keys"))
        if answer.status != 200:
            raise ProviderAwayError(f"{self.provider.issuer} answers for its keys with status {answer.status}")
        return parse_keys(answer.body)

    def _required(self, url: str, what: str) -> str:
        if not url:
            raise ProviderAwayError(f"{self.provider.issuer} has no {what}")
        return url

    def _now(self) -> float:
        return self._clock.wall_us() / 1e6
