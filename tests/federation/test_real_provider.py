"""Against oidc-provider, which is certified: every way in that stock clients and browsers have."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import trio
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from authn.errors import UnauthorizedError
from authn.federation.dashboards import Dashboards
from authn.federation.login import Asserted, WebLogin, bring_token
from authn.federation.login_state import LoginState, StateSeal
from authn.federation.openid import ProviderAnswer, RelyingParty
from authn.federation.provider import OpenIDProvider, parse_provider
from authn.federation.provider_http import ProviderAwayError, provider_connections
from store.core.clock import SystemClock
from tests.federation.conftest import RealProvider
from tests.federation.fake_provider import query_of
from tests.twins.clock import ManualClock

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("openid-provider")]

DASHBOARD = "https://dashboard.example.com/auth/websso/"
BACK = "http://127.0.0.1:1/identity/v3/auth/OS-FEDERATION/websso/openid"
API = "urn:cloud:api"
SECRET = "hush"
JANE = {"username": "jane", "password": "open sesame"}


def block(real: RealProvider, **changes: Any) -> OpenIDProvider:
    told = {"identity_provider": "acme", "protocol": "openid", "issuer": real.issuer, "client_id": "drystone"}
    return parse_provider({**told, "client_secret": SECRET, "audiences": [API], **changes})


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with provider_connections() as connections:
        yield connections


@pytest.fixture
def party(real_provider: RealProvider, http: httpx.AsyncClient) -> RelyingParty:
    return RelyingParty(block(real_provider), http, SystemClock())


async def token(http: httpx.AsyncClient, real: RealProvider, client: str = "drystone", **form: str) -> str:
    answer = await http.post(f"{real.issuer}/token", data=form, auth=(client, SECRET))
    given: str = answer.json()["access_token"]
    return given


async def test_an_opaque_token_of_a_user(
    party: RelyingParty, http: httpx.AsyncClient, real_provider: RealProvider
) -> None:
    given = await token(http, real_provider, grant_type="password", scope="openid email profile", **JANE)
    assert "." not in given
    found = await bring_token(party, f"Bearer {given}")
    assert found.assertion["HTTP_OIDC_ISS"] == (real_provider.issuer,)
    assert found.assertion["OIDC-preferred_username"] == ("jane.doe",)
    assert found.assertion["HTTP_OIDC_EMAIL"] == ("jane@example.com",)
    assert found.assertion["OIDC-groups"] == ("dev", "ops")


async def test_a_signed_token_of_a_user(
    party: RelyingParty, http: httpx.AsyncClient, real_provider: RealProvider
) -> None:
    given = await token(http, real_provider, grant_type="password", resource=API, **JANE)
    assert given.count(".") == 2
    assert (await party.claims_of_bearer(given))["sub"] == "jane"
    strict = RelyingParty(block(real_provider, audiences=[]), http, SystemClock())
    with pytest.raises(UnauthorizedError, match="for others"):
        await strict.claims_of_bearer(given)
    with pytest.raises(UnauthorizedError, match="signed with no key"):
        await party.claims_of_bearer(given[:-4] + "AAAA")


async def test_a_clients_own_tokens(party: RelyingParty, http: httpx.AsyncClient, real_provider: RealProvider) -> None:
    opaque = await token(http, real_provider, grant_type="client_credentials")
    assert (await party.claims_of_bearer(opaque))["client_id"] == "drystone"
    signed = await token(http, real_provider, grant_type="client_credentials", resource=API)
    assert (await party.claims_of_bearer(signed))["sub"] == "drystone"


async def test_a_token_of_another_client_is_not_for_us(
    party: RelyingParty, http: httpx.AsyncClient, real_provider: RealProvider
) -> None:
    given = await token(http, real_provider, "others", grant_type="password", scope="openid", **JANE)
    with pytest.raises(UnauthorizedError):
        await party.claims_of_bearer(given)


async def test_an_unknown_token_is_nobodys_and_a_wrong_secret_is_our_fault(
    party: RelyingParty, http: httpx.AsyncClient, real_provider: RealProvider
) -> None:
    with pytest.raises(UnauthorizedError, match="does not hold"):
        await party.claims_of_bearer("never-given-out")
    wrong = RelyingParty(block(real_provider, client_secret="wrong"), http, SystemClock())
    with pytest.raises(ProviderAwayError, match="does not take this client"):
        await wrong.claims_of_bearer("never-given-out")


async def test_new_keys_are_found(http: httpx.AsyncClient, real_provider: RealProvider) -> None:
    clock = AheadClock()
    party = RelyingParty(block(real_provider), http, clock)
    old = await token(http, real_provider, grant_type="client_credentials", resource=API)
    await party.claims_of_bearer(old)
    real_provider.rotate()
    new = await token(http, real_provider, grant_type="client_credentials", resource=API)
    assert await party.claims_of_bearer(old)
    with pytest.raises(UnauthorizedError):
        await party.claims_of_bearer(new)
    clock.ahead = 31.0
    assert await party.claims_of_bearer(new)
    with pytest.raises(UnauthorizedError):
        await party.claims_of_bearer(old)


class AheadClock(SystemClock):
    """The machine's time of day, with durations that a test makes pass."""

    ahead = 0.0

    def monotonic(self) -> float:
        return self.ahead


async def login(http: httpx.AsyncClient, url: str, form: dict[str, str]) -> dict[str, str]:
    """What a browser does that fills in the form: the query with which the provider sends it back."""
    http.cookies.clear()
    posted = False
    for _ in range(10):
        if url.startswith(BACK):
            return query_of(url)
        if "/login/" in url and not posted:
            assert "<form" in (await http.get(url)).text
            answer = await http.post(url, data=form)
            posted = True
        else:
            answer = await http.get(url)
        assert answer.is_redirect, answer.text
        url = urljoin(url, answer.headers["Location"])
    raise AssertionError(f"sent on and on, last to {url}")


@pytest.fixture
def web() -> WebLogin:
    return WebLogin(Dashboards([DASHBOARD]), StateSeal(b"k" * 32), SystemClock())


async def test_a_browser_logs_in_once(web: WebLogin, party: RelyingParty, http: httpx.AsyncClient) -> None:
    away = await web.begin(party, DASHBOARD, BACK)
    query = await login(http, away.url, JANE)
    cookies = {away.cookie_name: away.cookie}
    found = await web.finish(party, query, cookies)
    assert isinstance(found, Asserted)
    assert found.origin == DASHBOARD
    assert found.assertion["OIDC-sub"] == ("jane",)
    assert found.assertion["OIDC-groups"] == ("dev", "ops")
    with pytest.raises(UnauthorizedError, match="does not take the code"):
        await web.finish(party, query, cookies)


async def test_a_browser_with_a_wrong_password_comes_back_as_nobody(
    web: WebLogin, party: RelyingParty, http: httpx.AsyncClient
) -> None:
    away = await web.begin(party, DASHBOARD, BACK)
    query = await login(http, away.url, {**JANE, "password": "wrong"})
    assert query["error"] == "access_denied"
    with pytest.raises(UnauthorizedError):
        await web.finish(party, query, {away.cookie_name: away.cookie})


async def test_a_code_is_of_use_to_nobody_else(web: WebLogin, party: RelyingParty, http: httpx.AsyncClient) -> None:
    """Who caught another's code and answers to a login of their own has the wrong verifier for it."""
    theirs, own = await web.begin(party, DASHBOARD, BACK), await web.begin(party, DASHBOARD, BACK)
    caught = await login(http, theirs.url, JANE)
    query = {**caught, "state": query_of(own.url)["state"]}
    with pytest.raises(UnauthorizedError, match="does not take the code"):
        await web.finish(party, query, {own.cookie_name: own.cookie})


async def test_an_id_token_of_another_login_is_not_taken(party: RelyingParty, http: httpx.AsyncClient) -> None:
    """The provider itself tells the nonce of the login that it was asked for."""
    mine = LoginState.new("acme", "openid", BACK, DASHBOARD)
    query = await login(http, await party.login_url(mine), JANE)
    other = LoginState("acme", "openid", BACK, DASHBOARD, mine.state, "another nonce", mine.verifier)
    with pytest.raises(UnauthorizedError, match="of another login"):
        await party.claims_of_login(other, ProviderAnswer.of(query))


async def test_a_provider_that_has_gone_is_away(http: httpx.AsyncClient, unused_issuer: str) -> None:
    told = {"identity_provider": "acme", "protocol": "openid", "issuer": unused_issuer, "client_id": "drystone"}
    with pytest.raises(ProviderAwayError, match="acme"):
        await RelyingParty(parse_provider(told), http, ManualClock()).claims_of_bearer("opaque")


@pytest.fixture
def unused_issuer() -> str:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}"


@dataclass
class Keystone:
    """Answers any login with a token, and remembers what was brought."""

    url: str
    brought: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    known = Keystone("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            known.brought.append((self.path, self.headers["Authorization"]))
            body = json.dumps({"token": {"methods": ["openid"], "expires_at": "2100-01-01T00:00:00Z"}}).encode()
            self.send_response(201)
            self.send_header("X-Subject-Token", "unscoped")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}/identity/v3"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield known
        server.shutdown()
        thread.join()


async def test_stock_plugins_bring_tokens_that_count(
    party: RelyingParty, web: WebLogin, http: httpx.AsyncClient, real_provider: RealProvider, keystone: Keystone
) -> None:
    common: dict[str, Any] = {
        "auth_url": keystone.url,
        "identity_provider": "acme",
        "protocol": "openid",
        "client_id": "drystone",
        "client_secret": SECRET,
        "discovery_endpoint": f"{real_provider.issuer}/.well-known/openid-configuration",
    }
    given = await token(http, real_provider, grant_type="password", scope="openid", **JANE)
    plugins = [
        (v3.OidcPassword(**common, scope="openid profile", username="jane", password=JANE["password"]), "jane"),
        (v3.OidcClientCredentials(**common, scope="openid"), None),
        (v3.OidcAccessToken(keystone.url, "acme", "openid", access_token=given), "jane"),
    ]
    session = Session()
    for plugin, subject in plugins:
        access = await trio.to_thread.run_sync(plugin.get_unscoped_auth_ref, session)
        assert access.auth_token == "unscoped"
        path, header = keystone.brought[-1]
        assert path == "/identity/v3/OS-FEDERATION/identity_providers/acme/protocols/openid/auth"
        claims = await party.claims_of_bearer(header.removeprefix("Bearer "))
        assert claims.get("sub") == subject
        assert claims["client_id"] == "drystone"
