"""Browsers that dashboards send: away to the provider, back with a code, on to the dashboard with a token."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import trio

from authn.federation.config import FederationConfig
from authn.federation.dashboards import Dashboards
from authn.federation.identity_providers import RelyingParties
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask
from tests.federation.fake_provider import ISSUER, PROVIDER, claims, query_of, signed
from tests.federation.ways_in import DASHBOARD, PUBLIC, WayIn, named, open_way

WEBSSO = "/v3/auth/OS-FEDERATION/websso/openid"
OF_PROVIDER = "/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso"
BEGUN = f"?{urlencode({'origin': DASHBOARD})}"


@pytest.fixture
async def way(cloud: Cloud) -> WayIn:
    return await open_way(cloud)


def cookie_of(answer: Answer) -> tuple[str, str, dict[str, str]]:
    """Its name, its value, and what else the browser is told of it."""
    (name, value), *rest = (part.strip().partition("=")[::2] for part in answer.headers["set-cookie"].split(";"))
    return name, value.strip('"'), {key.lower(): text for key, text in rest}


async def back(way: WayIn, path: str, away: Answer, **told: Any) -> Answer:
    """The provider lets jane in, and sends the browser back."""
    sent = query_of(away.headers["location"])
    id_token = signed(claims(**{"nonce": sent["nonce"], "preferred_username": "jane", **told}))
    way.provider.reply("/token", 200, {"id_token": id_token, "access_token": "opaque", "token_type": "Bearer"})
    way.provider.reply("/me", 200, {"sub": "jane"})
    name, value, _ = cookie_of(away)
    query = urlencode({"code": "c0de", "state": sent["state"]})
    return await ask(way.cloud, "GET", f"{path}?{query}", headers={"cookie": f"{name}={value}"})


def token_in(page: Answer) -> str:
    found = re.search(rb'name="token" id="token" value="([^"]+)"', page.text)
    assert found
    return found[1].decode()


@pytest.mark.parametrize("path", [WEBSSO, OF_PROVIDER])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_browser_is_handed_to_its_dashboard_with_a_token(way: WayIn, path: str, method: str) -> None:
    away = await ask(way.cloud, method, path + BEGUN)
    assert away.status == 302
    assert away.headers["location"].startswith(f"{ISSUER}/auth?")
    assert query_of(away.headers["location"])["redirect_uri"] == PUBLIC + path
    assert away.headers["cache-control"] == "no-store"
    name, value, told = cookie_of(away)
    assert value
    assert told == {
        "httponly": "",
        "max-age": "600",
        "path": urlsplit(PUBLIC + path).path,
        "samesite": "lax",
        "secure": "",
    }
    page = await back(way, path, away)
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "form-action https://dashboard.example.com" in page.headers["content-security-policy"]
    assert f'action="{DASHBOARD}"'.encode() in page.text
    token = token_in(page)
    shown = await ask(way.cloud, "GET", "/v3/auth/tokens", token=token, headers={"x-subject-token": token})
    assert shown.json["token"]["user"]["name"] == "jane"
    assert shown.json["token"]["methods"] == ["openid"]
    gone, nothing, told = cookie_of(page)
    assert (gone, nothing, told["max-age"], told["path"]) == (name, "", "0", urlsplit(PUBLIC + path).path)


async def test_the_host_that_was_asked_is_not_believed(way: WayIn) -> None:
    headers = {"host": "evil.example.com", "x-forwarded-host": "evil.example.com", "x-forwarded-proto": "http"}
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN, headers=headers)
    assert query_of(away.headers["location"])["redirect_uri"] == PUBLIC + WEBSSO


async def test_without_tls_the_cookie_comes_back_all_the_same(way: WayIn) -> None:
    way.cloud.service.federation = FederationConfig((PROVIDER,), Dashboards([DASHBOARD]), "http://127.0.0.1/identity")
    assert "secure" not in cookie_of(await ask(way.cloud, "GET", WEBSSO + BEGUN))[2]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?origin=", 400), ("?origin=https%3A%2F%2Fevil.example.com%2Fauth%2Fwebsso%2F", 401)],
)
@pytest.mark.parametrize("path", [WEBSSO, OF_PROVIDER])
async def test_only_trusted_dashboards_get_tokens(way: WayIn, path: str, query: str, status: int) -> None:
    answer = await ask(way.cloud, "GET", path + query)
    assert answer.status == status
    assert "set-cookie" not in answer.headers
    assert not way.provider.requests


async def test_a_dashboard_that_is_trusted_no_more_gets_none(way: WayIn) -> None:
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN)
    way.cloud.service.federation = FederationConfig((PROVIDER,), Dashboards(["https://other.example.com/"]), PUBLIC)
    assert (await back(way, WEBSSO, away)).status == 401


async def test_who_is_nobody_here_is_told_and_the_login_is_over(way: WayIn) -> None:
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN)
    answer = await back(way, WEBSSO, away, preferred_username=None)
    assert answer.status == 401
    name, nothing, told = cookie_of(answer)
    assert (name, nothing, told["max-age"]) == (cookie_of(away)[0], "", "0")


async def test_a_return_without_its_cookie_is_nobodys(way: WayIn) -> None:
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN)
    state = query_of(away.headers["location"])["state"]
    assert (await ask(way.cloud, "GET", f"{WEBSSO}?code=c&state={state}")).status == 401
    assert not way.provider.asked["/token"]


async def test_which_provider_is_meant_must_be_clear(cloud: Cloud) -> None:
    way = await open_way(cloud, named("other", "openid"))
    assert (await ask(cloud, "GET", WEBSSO + BEGUN)).status == 400
    assert (await ask(cloud, "GET", OF_PROVIDER + BEGUN)).status == 302
    assert (await ask(cloud, "GET", WEBSSO.replace("openid", "saml2") + BEGUN)).status == 401
    other = OF_PROVIDER.replace("acme", "other")
    assert (await ask(cloud, "GET", other + BEGUN)).status == 404
    await way.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": {"enabled": False}})
    assert (await ask(cloud, "GET", OF_PROVIDER + BEGUN)).status == 403
    assert not way.provider.asked["/token"]


async def test_a_disabled_provider_sends_nobody_away(way: WayIn) -> None:
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN)
    await way.ask("PATCH", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": {"enabled": False}})
    assert (await ask(way.cloud, "GET", WEBSSO + BEGUN)).status == 403
    assert (await back(way, WEBSSO, away)).status == 403


async def test_another_process_finishes_what_one_began(way: WayIn, nursery: trio.Nursery) -> None:
    away = await ask(way.cloud, "GET", WEBSSO + BEGUN)
    other = await way.cloud.another(nursery)
    other.parties = RelyingParties([way.provider.party(way.cloud.clock)])
    other.federation = way.cloud.service.federation
    there = Cloud(way.cloud.registry, way.cloud.clock, other, way.cloud.made)
    page = await back(WayIn(there, way.provider, way.admin), WEBSSO, away)
    assert await way.cloud.service.identify(token_in(page)) is not None
