"""A provider without a network: what it answers is what a test says, and it counts what it is asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import trio
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from authn.federation.openid import RelyingParty
from authn.federation.provider import OpenIDProvider
from tests.twins.clock import DAWN_US, ManualClock

ISSUER = "https://login.example.com/realm"
NOW = DAWN_US / 1e6

PROVIDER = OpenIDProvider(
    identity_provider="acme", protocol="openid", issuer=ISSUER, client_id="drystone", client_secret="hush:hush %"
)

RSA_KEY = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "ec"})

Reply = Callable[[httpx.Request], httpx.Response]


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token; None takes a claim away."""
    told = {"iss": ISSUER, "aud": "drystone", "sub": "jane", "iat": NOW, "exp": NOW + 300, **changes}
    return {name: value for name, value in told.items() if value is not None}


def signed(told: Any, key: Any = RSA_KEY, **header: Any) -> str:
    algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
    protected = {"alg": algorithm, "kid": key.kid, **header}
    algorithms = [protected["alg"]]
    return jws.serialize_compact(protected, json.dumps(told), key, algorithms=algorithms)


@dataclass
class FakeProvider:
    """`replies` are by path; what is not there is answered with the usual, and `away` fails all."""

    keys: list[Any] = field(default_factory=lambda: [RSA_KEY, EC_KEY])
    metadata: dict[str, Any] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    away: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    requests: list[httpx.Request] = field(default_factory=list)

    def reply(self, path: str, status: int = 200, body: Any = None, **more: Any) -> None:
        self.replies[path] = lambda request: httpx.Response(status, json=body, **more)

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/realm")
        self.asked[path] += 1
        self.requests.append(request)
        if self.away:
            raise httpx.ConnectError("nobody there", request=request)
        if path in self.replies:
            return self.replies[path](request)
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.described())
        if path == "/keys":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        return httpx.Response(404)

    def described(self) -> dict[str, Any]:
        names = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "jwks_uri": "keys",
            "introspection_endpoint": "introspect",
            "userinfo_endpoint": "me",
        }
        return {"issuer": ISSUER, **{name: f"{ISSUER}/{path}" for name, path in names.items()}, **self.metadata}

    def form(self, request: httpx.Request) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}

    def party(self, clock: ManualClock, provider: OpenIDProvider = PROVIDER) -> RelyingParty:
        return RelyingParty(provider, httpx.AsyncClient(transport=httpx.MockTransport(self.handle)), clock)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Endless(httpx.AsyncByteStream):
    """A body that has no end."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await trio.lowlevel.checkpoint()
            self.sent += 1 << 16
            yield b" " * (1 << 16)
