"""Federated logins as Keystone's clients and dashboards go through them: input is read already, answers are values.

A client brings an access token of the provider to
`/v3/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}/auth` (keystoneauth's v3oidcpassword,
v3oidcclientcredentials, v3oidcauthcode and v3oidcaccesstoken all end there), and an unscoped token is made of what it
asserts. A browser comes to `/v3/auth/OS-FEDERATION/websso/{protocol}?origin=<dashboard>`, is sent to the provider,
comes back to the same address with `code` and `state`, and is handed to the dashboard with a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authn.errors import UnauthorizedError
from authn.federation.assertion import Assertion
from authn.federation.claims import assertion_of
from authn.federation.dashboards import Dashboards
from authn.federation.login_state import LOGIN_SECONDS, SEALED_CHARACTERS_MAX, LoginState, StateSeal, cookie_name
from authn.federation.openid import ProviderAnswer, RelyingParty
from gateway.rest.bearer import bearer_token
from store.core.clock import Clock
from store.core.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Asserted:
    """Who a provider says it is, before its mapping. `origin` is the dashboard that waits for them, "" without one."""

    identity_provider: str
    protocol: str
    domain: str
    assertion: Assertion
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SendAway:
    """A redirect (302) to the provider, with a cookie: HttpOnly, SameSite=Lax, Secure where the cloud speaks TLS, for
    this path and so many seconds."""

    url: str
    cookie_name: str
    cookie: str = field(repr=False)
    cookie_seconds: int = LOGIN_SECONDS


async def bring_token(party: RelyingParty, authorization: str | None) -> Asserted:
    """Whose the access token of a header `Authorization: Bearer ...` is. Raises UnauthorizedError,
    ProviderAwayError."""
    token = bearer_token(authorization or "")
    if not token:
        raise UnauthorizedError("The request brings no access token.")
    claims = await party.claims_of_bearer(token)
    return _asserted(party, claims)


class WebLogin:
    """Logins of browsers. `seal` must be the same in every process that a browser may come back to."""

    def __init__(self, dashboards: Dashboards, seal: StateSeal, clock: Clock) -> None:
        self._dashboards = dashboards
        self._seal = seal
        self._clock = clock

    async def begin(self, party: RelyingParty, origin: str, redirect_uri: str) -> SendAway:
        """Sends a browser to the provider. `redirect_uri` is the address it is to come back to, without a query, as the
        provider knows it. Raises InvalidError without an origin, UnauthorizedError for one that is not trusted,
        ProviderAwayError."""
        trusted = self._dashboards.require_trusted(origin)
        provider = party.provider
        login = LoginState.new(provider.identity_provider, provider.protocol, redirect_uri, trusted)
        sealed = self._seal.seal(login, self._now())
        if len(sealed) > SEALED_CHARACTERS_MAX:
            raise InvalidError("The addresses are too long.")
        return SendAway(await party.login_url(login), cookie_name(login.state), sealed)

    async def finish(self, party: RelyingParty, query: Mapping[str, str], cookies: Mapping[str, str]) -> Asserted:
        """Who has come back. The cookie is to be deleted whatever happens. Raises UnauthorizedError,
        ProviderAwayError."""
        answer = ProviderAnswer.of(query)
        login = self._seal.open(cookies.get(cookie_name(answer.state), ""), self._now())
        provider = party.provider
        if (login.identity_provider, login.protocol) != (provider.identity_provider, provider.protocol):
            raise UnauthorizedError("The login was begun at another provider.")
        claims = await party.claims_of_login(login, answer)
        return _asserted(party, claims, self._dashboards.require_trusted(login.origin))

    def _now(self) -> float:
        return self._clock.wall_us() / 1e6


def is_return(query: Mapping[str, str]) -> bool:
    """Whether a browser comes back from a provider, rather than begins."""
    return "state" in query and ("code" in query or "error" in query)


def _asserted(party: RelyingParty, claims: Mapping[str, object], origin: str = "") -> Asserted:
    provider = party.provider
    assertion = assertion_of(claims, provider.claim_prefix)
    return Asserted(provider.identity_provider, provider.protocol, provider.domain, assertion, origin)
