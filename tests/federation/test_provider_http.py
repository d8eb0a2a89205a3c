"""What a provider may answer, and where it can send us: nowhere."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
import trio
import trustme

from authn.federation.discovery import discover
from authn.federation.openid import RelyingParty
from authn.federation.provider import OpenIDProvider, parse_provider
from authn.federation.provider_http import ANSWER_SECONDS, ProviderAwayError, ProviderHttp, provider_connections
from store.core.errors import InvalidError, RetryableError
from tests.federation.fake_provider import ISSUER, PROVIDER, Endless, FakeProvider, claims, signed
from tests.twins.clock import ManualClock

GOOD = {"identity_provider": "acme", "protocol": "openid", "issuer": ISSUER, "client_id": "drystone"}


def test_a_block_of_configuration_is_read() -> None:
    assert parse_provider(GOOD) == OpenIDProvider("acme", "openid", ISSUER, "drystone")
    full = parse_provider(
        {
            **GOOD,
            "client_secret": "hush",
            "scopes": ["openid", "groups"],
            "claim_prefix": "OIDC_CLAIM_",
            "domain": "default",
            "audiences": ["api://cloud"],
            "hosts": ["keys.example.com:8443"],
            "own_tokens": True,
        }
    )
    assert (full.client_secret, full.scopes, full.hosts) == ("hush", ("openid", "groups"), ("keys.example.com:8443",))
    assert (full.claim_prefix, full.domain, full.audiences) == ("OIDC_CLAIM_", "default", ("api://cloud",))
    assert full.own_tokens
    assert "hush" not in repr(full)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"issuer": None}, r"p\.issuer: not of type"),
        ({"issuer": "http://login.example.com"}, r"p\.issuer: is no https"),
        ({"issuer": "https://"}, r"p\.issuer"),
        ({"issuer": "https://u:p@login.example.com"}, r"p\.issuer"),
        ({"issuer": "https://login.example.com?x"}, r"p\.issuer"),
        ({"issuer": "https://login.example.com:x"}, r"p\.issuer"),
        ({"issuer": "ftp://127.0.0.1"}, r"p\.issuer"),
        ({"client_id": ""}, r"p\.client_id: is empty"),
        ({"client_id": "a\n"}, r"p\.client_id"),
        ({"protocol": "a/b"}, r"p\.protocol: has to match"),
        ({"identity_provider": ""}, r"p\.identity_provider"),
        ({"scopes": ["email"]}, r"p\.scopes: has no 'openid'"),
        ({"scopes": "openid"}, r"p\.scopes: not of type 'array'"),
        ({"claim_prefix": ""}, r"p\.claim_prefix"),
        ({"own_tokens": "no"}, r"p\.own_tokens: not of type 'boolean'"),
        ({"hosts": ["example.com/path"]}, r"p\.hosts\[0\]"),
        ({"hosts": ["example.com:x"]}, r"p\.hosts\[0\]"),
        ({"hosts": ["a@example.com"]}, r"p\.hosts\[0\]"),
        ({"secret": "x"}, r"p: .*'secret' was unexpected"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidError, match=named):
        parse_provider({**GOOD, **changes}, "p")


@pytest.mark.parametrize("name", GOOD)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidError, match=f"'{name}' is a required property"):
        parse_provider({key: value for key, value in GOOD.items() if key != name})


def test_plain_http_is_for_loopback_only() -> None:
    for issuer in ("http://127.0.0.1:8080", "http://[::1]/realm", "http://localhost:1"):
        assert parse_provider({**GOOD, "issuer": issuer}).issuer == issuer


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (f"{ISSUER}/token", True),
        ("https://LOGIN.example.com:443/other", True),
        ("https://keys.example.com:8443/set", True),
        ("https://keys.example.com/set", False),
        ("https://login.example.com:8443/token", False),
        ("http://login.example.com/token", False),
        ("http://login.example.com:443/token", False),
        ("https://login.example.com.evil.com/token", False),
        ("https://login.example.com@evil.com/token", False),
        ("https://u@login.example.com/token", False),
        ("https://169.254.169.254/latest", False),
        ("https://login.example.com:x/", False),
        ("https://[login.example.com/", False),
        ("//login.example.com/", False),
        ("", False),
    ],
)
async def test_only_the_providers_own_hosts_are_asked(url: str, asked: bool) -> None:
    provider = replace(PROVIDER, hosts=("keys.example.com:8443",))
    assert provider.may_be_asked(url) is asked
    fake = FakeProvider(metadata={"jwks_uri": url} if url else {"jwks_uri": None})
    party = fake.party(ManualClock(), provider)
    fake.reply("/set", body={"keys": []})
    if not asked:
        with pytest.raises(ProviderAwayError):
            await party.claims_of_bearer(signed(claims()))
        assert set(fake.asked) == {"/.well-known/openid-configuration"}
        with pytest.raises(ProviderAwayError):
            await ProviderHttp(provider, httpx.AsyncClient(transport=httpx.MockTransport(fake.handle))).get(url)
        assert fake.asked.total() == 1


@pytest.mark.parametrize("issuer", ["https://login.example.com/realm/", "https://evil.example.com", None])
async def test_a_description_of_another_issuer_is_none(issuer: Any) -> None:
    fake = FakeProvider(metadata={"issuer": issuer})
    with pytest.raises(ProviderAwayError, match="another issuer"):
        await fake.party(ManualClock()).claims_of_bearer(signed(claims()))


ANSWERS = [
    httpx.Response(302, headers={"Location": "https://login.example.com/realm/other"}),
    httpx.Response(307, headers={"Location": "http://169.254.169.254/"}),
    httpx.Response(500),
    httpx.Response(429),
    httpx.Response(404),
    httpx.Response(200, content=b"<html>"),
    httpx.Response(200, json=[1]),
    httpx.Response(200, content=b"[" * 100_000),
    httpx.Response(200, content=b'{"a": "' + b"x" * (256 * 1024) + b'"}'),
    httpx.Response(200, content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.status_code))
async def test_answers_of_no_use_are_a_provider_that_is_away(answer: httpx.Response) -> None:
    fake = FakeProvider()
    fake.replies["/keys"] = lambda request: answer
    with pytest.raises(RetryableError, match="acme is of no use now"):
        await fake.party(ManualClock()).claims_of_bearer(signed(claims()))
    assert fake.asked.total() == 2


async def test_an_answer_without_end_is_left() -> None:
    endless = Endless()
    fake = FakeProvider()
    fake.replies["/keys"] = lambda request: httpx.Response(200, stream=endless)
    with pytest.raises(ProviderAwayError, match="more than"):
        await fake.party(ManualClock()).claims_of_bearer(signed(claims()))
    assert endless.sent < 1 << 20


async def test_an_answer_that_never_comes_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    http = ProviderHttp(PROVIDER, httpx.AsyncClient(transport=httpx.MockTransport(never)))
    begun = trio.current_time()
    with pytest.raises(ProviderAwayError, match="no answer within"):
        await http.get(f"{ISSUER}/keys")
    assert trio.current_time() - begun == pytest.approx(ANSWER_SECONDS)


async def test_many_who_wait_ask_but_once(autojump_clock: trio.testing.MockClock) -> None:
    fake = FakeProvider()

    async def slow(request: httpx.Request) -> httpx.Response:
        await trio.sleep(1)
        return fake.handle(request)

    party = RelyingParty(PROVIDER, httpx.AsyncClient(transport=httpx.MockTransport(slow)), ManualClock())
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(party.claims_of_bearer, signed(claims()))
    assert fake.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_issuer(authority: trustme.CA) -> Iterator[str]:
    """A server with a certificate of the authority, that describes itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"issuer": issuer}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    class Quiet(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who does not believe its certificate hangs up."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        issuer = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield issuer
        server.shutdown()
        thread.join()


async def test_a_provider_must_show_a_certificate_that_is_believed(tls_issuer: str, authority: trustme.CA) -> None:
    provider = parse_provider({**GOOD, "issuer": tls_issuer})
    async with provider_connections() as http:
        with pytest.raises(ProviderAwayError, match="certificate verify failed"):
            await discover(provider, ProviderHttp(provider, http))
    believing = ssl.create_default_context()
    authority.configure_trust(believing)
    async with provider_connections(believing) as http:
        assert await discover(provider, ProviderHttp(provider, http))
