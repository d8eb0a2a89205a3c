"""Logins as clients and browsers go through them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from authn.errors import UnauthorizedError
from authn.federation.claims import assertion_of
from authn.federation.dashboards import Dashboards, handover
from authn.federation.login import Asserted, SendAway, WebLogin, bring_token, is_return
from authn.federation.login_state import LOGIN_SECONDS, LoginState, StateSeal, cookie_name
from authn.federation.mapping import apply
from authn.federation.openid import RelyingParty
from authn.federation.provider_http import ProviderAwayError
from authn.federation.rules import parse_rules
from store.core.errors import InvalidError
from tests.federation.fake_provider import ISSUER, NOW, PROVIDER, RSA_KEY, FakeProvider, claims, query_of, signed
from tests.twins.clock import ManualClock

DASHBOARD = "https://dashboard.example.com/auth/websso/"
BACK = "https://cloud.example.com/identity/v3/auth/OS-FEDERATION/websso/openid"


async def test_a_token_that_is_brought_is_an_assertion_by_the_usual_names() -> None:
    party = FakeProvider().party(ManualClock(), replace(PROVIDER, domain="theirs"))
    token = signed(claims(email="jane@example.com", groups=["a", "b;c"]))
    found = await bring_token(party, f"bearer {token}")
    assert (found.identity_provider, found.protocol, found.domain, found.origin) == ("acme", "openid", "theirs", "")
    assert found.assertion["HTTP_OIDC_ISS"] == (ISSUER,)
    assert found.assertion["OIDC-email"] == found.assertion["HTTP_OIDC_EMAIL"] == ("jane@example.com",)
    assert found.assertion["OIDC-groups"] == ("a", "b;c")


async def test_what_is_asserted_becomes_somebody_by_a_mapping() -> None:
    token = signed(claims(email="jane@example.com", groups=["dev", "ops;admin"]))
    asserted = await bring_token(FakeProvider().party(ManualClock()), f"Bearer {token}")
    remote = [{"type": "HTTP_OIDC_EMAIL"}, {"type": "OIDC-groups", "blacklist": ["ops"]}]
    local = [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "d"}}]
    found = apply(parse_rules([{"local": local, "remote": remote}]), asserted.assertion)
    assert found is not None
    assert found.user.name == "jane@example.com"
    assert [group.name for group in found.groups] == ["dev", "ops;admin"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer a b"])
async def test_without_a_token_nobody_is_known(header: str | None) -> None:
    fake = FakeProvider()
    with pytest.raises(UnauthorizedError):
        await bring_token(fake.party(ManualClock()), header)
    assert not fake.requests


def test_claims_have_the_forms_of_apaches_module() -> None:
    told = {
        "preferred_username": "jane;root",
        "email_verified": True,
        "locked": False,
        "age": 7,
        "https://x.example/groups": ["a", 1, None, ["deep"], {"n": "ü"}],
        "address": {"street": "1"},
        "nothing": None,
        "empty": [],
        "broken": "\ud800",
    }
    assert assertion_of(told, "OIDC-") == {
        "OIDC-preferred_username": ("jane;root",),
        "HTTP_OIDC_PREFERRED_USERNAME": ("jane;root",),
        "OIDC-email_verified": ("1",),
        "HTTP_OIDC_EMAIL_VERIFIED": ("1",),
        "OIDC-locked": ("0",),
        "HTTP_OIDC_LOCKED": ("0",),
        "OIDC-age": ("7",),
        "HTTP_OIDC_AGE": ("7",),
        "OIDC-https://x.example/groups": ("a", "1", '{"n":"ü"}'),
        "HTTP_OIDC_HTTPS___X_EXAMPLE_GROUPS": ("a", "1", '{"n":"ü"}'),
        "OIDC-address": ('{"street":"1"}',),
        "HTTP_OIDC_ADDRESS": ('{"street":"1"}',),
    }
    assert assertion_of({"sub": "x"}, "OIDC_CLAIM_") == {"OIDC_CLAIM_sub": ("x",), "HTTP_OIDC_CLAIM_SUB": ("x",)}


class Browser:
    """Goes to the dashboard, the provider and back. `token` changes what the provider's ID token says."""

    def __init__(self, fake: FakeProvider | None = None) -> None:
        self.fake = fake or FakeProvider()
        self.clock = ManualClock()
        self.party: RelyingParty = self.fake.party(self.clock)
        self.web = WebLogin(Dashboards([DASHBOARD]), StateSeal(b"k" * 32), self.clock)
        self.token: dict[str, Any] = {}
        self.key: Any = RSA_KEY
        self.cookies: dict[str, str] = {}
        self.away: SendAway | None = None

    async def begin(self) -> dict[str, str]:
        """What the provider is asked."""
        self.away = await self.web.begin(self.party, DASHBOARD, BACK)
        self.cookies[self.away.cookie_name] = self.away.cookie
        asked = query_of(self.away.url)
        self.fake.replies["/token"] = lambda request: self._tokens(request, asked)
        self.fake.reply("/me", body={"sub": "jane", "email": "jane@example.com"})
        return asked

    async def finish(self, **query: str) -> Asserted:
        return await self.web.finish(self.party, query, self.cookies)

    def _tokens(self, request: httpx.Request, asked: dict[str, str]) -> httpx.Response:
        form = self.fake.form(request)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if form["code"] != "right" or challenge != asked["code_challenge"] or form["redirect_uri"] != BACK:
            return httpx.Response(400, json={"error": "invalid_grant"})
        told = claims(**{"nonce": asked["nonce"], **self.token})
        return httpx.Response(200, json={"id_token": signed(told, self.key), "access_token": "opaque"})


async def test_a_browser_is_sent_away_and_comes_back_as_somebody() -> None:
    browser = Browser()
    asked = await browser.begin()
    assert browser.away is not None
    assert browser.away.url.startswith(f"{ISSUER}/auth?")
    assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", "drystone", BACK)
    assert (asked["scope"], asked["code_challenge_method"]) == ("openid email profile", "S256")
    query = {"code": "right", "state": asked["state"]}
    assert is_return(query)
    found = await browser.finish(**query)
    assert found.origin == DASHBOARD
    assert found.assertion["HTTP_OIDC_EMAIL"] == ("jane@example.com",)


async def test_two_logins_have_nothing_in_common() -> None:
    browser = Browser()
    one, two = await browser.begin(), await browser.begin()
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != two[name]
        assert len(one[name]) >= 43
    assert len(browser.cookies) == 2


@pytest.mark.parametrize(
    "told",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"iss": "https://evil.example.com"},
        {"aud": "others"},
        {"aud": ["drystone", "others"]},
        {"aud": ["drystone", "others"], "azp": "others"},
        {"azp": "others"},
        {"exp": NOW - 61},
        {"sub": ""},
        {"sub": "root"},
    ],
)
async def test_an_id_token_that_is_of_another_login_or_for_others_does_not_count(told: dict[str, Any]) -> None:
    browser = Browser()
    asked = await browser.begin()
    browser.token = told
    with pytest.raises(UnauthorizedError):
        await browser.finish(code="right", state=asked["state"])


async def test_several_audiences_are_right_where_we_asked() -> None:
    browser = Browser()
    asked = await browser.begin()
    browser.token = {"aud": ["drystone", "others"], "azp": "drystone"}
    assert await browser.finish(code="right", state=asked["state"])


async def test_an_answer_without_its_cookie_is_nobodys() -> None:
    browser, other = Browser(), Browser()
    asked, others = await browser.begin(), await other.begin()
    for query in (
        {"code": "right"},
        {"code": "right", "state": ""},
        {"code": "right", "state": others["state"]},
        {"code": "right", "state": "\ud800"},
        {"code": "wrong", "state": asked["state"]},
        {"error": "access_denied", "state": asked["state"]},
        {"code": "right", "error": "x", "state": asked["state"]},
        {"code": "right", "state": asked["state"], "iss": "https://evil.example.com"},
    ):
        with pytest.raises(UnauthorizedError):
            await browser.finish(**query)
    # Under the name of another login's cookie: its state is sealed in it.
    browser.cookies[cookie_name(others["state"])] = browser.cookies[cookie_name(asked["state"])]
    with pytest.raises(UnauthorizedError):
        await browser.finish(code="right", state=others["state"])
    assert await browser.finish(code="right", state=asked["state"], iss=ISSUER)


async def test_who_says_its_name_must_always_say_it() -> None:
    browser = Browser(FakeProvider(metadata={"authorization_response_iss_parameter_supported": True}))
    asked = await browser.begin()
    with pytest.raises(UnauthorizedError):
        await browser.finish(code="right", state=asked["state"])
    assert await browser.finish(code="right", state=asked["state"], iss=ISSUER)


async def test_a_login_takes_its_time_but_not_for_ever() -> None:
    for seconds, holds in ((LOGIN_SECONDS - 1, True), (LOGIN_SECONDS + 1, False)):
        browser = Browser()
        asked = await browser.begin()
        browser.clock.advance(seconds)
        browser.token = {"exp": NOW + 9000}
        if holds:
            assert await browser.finish(code="right", state=asked["state"])
        else:
            with pytest.raises(UnauthorizedError):
                await browser.finish(code="right", state=asked["state"])


async def test_a_cookie_of_another_key_or_provider_is_none() -> None:
    browser = Browser()
    asked = await browser.begin()
    query = {"code": "right", "state": asked["state"]}
    stranger = WebLogin(Dashboards([DASHBOARD]), StateSeal(b"s" * 32), browser.clock)
    with pytest.raises(UnauthorizedError):
        await stranger.finish(browser.party, query, browser.cookies)
    other = browser.fake.party(browser.clock, replace(PROVIDER, identity_provider="other"))
    with pytest.raises(UnauthorizedError):
        await browser.web.finish(other, query, browser.cookies)
    untrusting = WebLogin(Dashboards([]), StateSeal(b"k" * 32), browser.clock)
    with pytest.raises(UnauthorizedError):
        await untrusting.finish(browser.party, query, browser.cookies)


def test_what_is_sealed_cannot_be_read() -> None:
    login = LoginState.new("acme", "openid", BACK, DASHBOARD)
    sealed = StateSeal(b"k" * 32).seal(login, NOW)
    assert StateSeal(b"k" * 32).open(sealed, NOW) == login
    assert login.verifier.encode() not in base64.urlsafe_b64decode(sealed)
    for broken in ("", "ü", "\ud800", sealed[:-8], sealed + sealed * 9, "A" + sealed[1:]):
        with pytest.raises(UnauthorizedError):
            StateSeal(b"k" * 32).open(broken, NOW)
    with pytest.raises(ValueError, match="32"):
        StateSeal(b"short")


async def test_a_client_without_a_secret_says_its_name_and_one_may_have_to_say_it_in_the_form() -> None:
    for secret, methods, expected in (
        ("", ["none"], {"client_id": "drystone"}),
        ("hush", ["client_secret_post"], {"client_id": "drystone", "client_secret": "hush"}),
        ("hush", ["client_secret_post", "client_secret_basic"], {}),
    ):
        browser = Browser(FakeProvider(metadata={"token_endpoint_auth_methods_supported": methods}))
        browser.party = browser.fake.party(browser.clock, replace(PROVIDER, client_secret=secret))
        asked = await browser.begin()
        await browser.finish(code="right", state=asked["state"])
        request = next(one for one in browser.fake.requests if one.url.path.endswith("/token"))
        form = browser.fake.form(request)
        assert {name: form[name] for name in form if name.startswith("client")} == expected
        assert ("Authorization" in request.headers) is not bool(expected)


async def test_a_code_that_our_client_may_not_redeem_is_our_fault() -> None:
    answers: list[tuple[int, Any]] = [
        (400, {"error": "invalid_client"}),
        (400, {"error": "unauthorized_client"}),
        (401, None),
    ]
    for status, body in answers:
        browser = Browser()
        asked = await browser.begin()
        browser.fake.reply("/token", status, body)
        with pytest.raises(ProviderAwayError, match="does not take this client"):
            await browser.finish(code="right", state=asked["state"])


async def test_nobody_is_sent_to_a_host_that_is_not_the_providers() -> None:
    browser = Browser(FakeProvider(metadata={"authorization_endpoint": "https://evil.example.com/auth"}))
    with pytest.raises(ProviderAwayError, match="authorization_endpoint at a host"):
        await browser.begin()


async def test_a_provider_without_logins_for_browsers_is_of_no_use() -> None:
    with pytest.raises(ProviderAwayError, match="authorization endpoint"):
        await Browser(FakeProvider(metadata={"authorization_endpoint": ""})).begin()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com/auth/websso/",
        DASHBOARD.rstrip("/"),
        f"{DASHBOARD}?next=x",
        DASHBOARD.upper(),
        f" {DASHBOARD}",
        DASHBOARD.replace("https", "http"),
        f"{DASHBOARD}%0d",
    ],
)
async def test_only_a_dashboard_that_is_trusted_gets_tokens(origin: str) -> None:
    browser = Browser()
    with pytest.raises(UnauthorizedError):
        await browser.web.begin(browser.party, origin, BACK)
    assert not browser.fake.requests


async def test_without_an_origin_the_request_is_wrong() -> None:
    browser = Browser()
    with pytest.raises(InvalidError, match="origin"):
        await browser.web.begin(browser.party, "", BACK)


def test_a_dashboards_host_is_written_in_any_case() -> None:
    assert Dashboards(["https://Dashboard.Example.com/auth/websso/"]).require_trusted(DASHBOARD) == DASHBOARD


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dashboard",
        "javascript:alert(1)",
        "https://",
        "https://a@b/",
        "https://a/;x",
        'https://a/"',
        "https://a/#b",
        f"https://a/{'b' * 512}",
    ],
)
def test_what_is_no_dashboard_is_refused(url: str) -> None:
    with pytest.raises(InvalidError):
        Dashboards([url])


def test_a_dashboards_url_fits_into_a_cookie() -> None:
    with pytest.raises(InvalidError):
        Dashboards([f"https://a/{'b' * 512}"])


def test_the_page_posts_the_token_to_there_and_nothing_else() -> None:
    page = handover("https://dashboard.example.com:8443/auth/?a=1&b=2", 'to"<ken>')
    assert 'action="https://dashboard.example.com:8443/auth/?a=1&amp;b=2" method="post"' in page.body
    assert 'name="token" id="token" value="to&quot;&lt;ken&gt;"' in page.body
    headers = dict(page.headers)
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action https://dashboard.example.com:8443;" in policy
    script = re.search("<script>(.*)</script>", page.body)
    assert script is not None
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()}'" in policy
    assert "ken" not in repr(page)


def test_beginning_is_not_coming_back() -> None:
    assert not is_return({"origin": DASHBOARD})
    assert not is_return({"origin": DASHBOARD, "state": "x"})
    assert is_return({"error": "access_denied", "state": "x"})
