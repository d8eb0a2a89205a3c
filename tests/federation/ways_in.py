"""A cloud that trusts a provider without a network, as its administrator has set it up over the API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx

from authn.federation.config import FederationConfig
from authn.federation.dashboards import Dashboards
from authn.federation.identity_providers import RelyingParties
from authn.federation.openid import RelyingParty
from authn.federation.provider import OpenIDProvider
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask
from tests.federation.fake_provider import ISSUER, PROVIDER, FakeProvider, claims, signed

DASHBOARD = "https://dashboard.example.com/auth/websso/"
PUBLIC = "https://cloud.example.com/identity"
NAMED = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-preferred_username"}]}]
AUTH = "/v3/OS-FEDERATION/identity_providers/acme/protocols/openid/auth"


@dataclass
class WayIn:
    """`admin` is a token that administers."""

    cloud: Cloud
    provider: FakeProvider
    admin: str

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return await ask(self.cloud, method, path, body, token=self.admin)

    async def made(self, method: str, path: str, body: Any) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status in (200, 201), answer.text
        (made,) = answer.json.values()
        return made

    async def map(self, rules: Any, version: str = "1.0") -> None:
        """The provider's mapping from now on."""
        body = {"mapping": {"rules": rules, "schema_version": version}}
        await self.made("PATCH", "/v3/OS-FEDERATION/mappings/people", body)

    async def log_in(self, path: str = AUTH, method: str = "POST", **told: Any) -> Answer:
        """With a token of the provider that says so of jane."""
        token = signed(claims(**{"preferred_username": "jane", **told}))
        return await ask(self.cloud, method, path, headers={"authorization": f"Bearer {token}"})

    async def domain(self) -> str:
        found: str = (await self.ask("GET", "/v3/OS-FEDERATION/identity_providers/acme")).json["identity_provider"][
            "domain_id"
        ]
        return found


async def open_way(cloud: Cloud, *others: OpenIDProvider, rules: Any = NAMED) -> WayIn:
    """The provider `acme` with the protocol `openid`, known to the configuration and to the API; `others` only to the
    configuration."""
    provider = FakeProvider()
    http = httpx.AsyncClient(transport=httpx.MockTransport(provider.handle))
    cloud.service.parties = RelyingParties(RelyingParty(one, http, cloud.clock) for one in (PROVIDER, *others))
    cloud.service.federation = FederationConfig((PROVIDER, *others), Dashboards([DASHBOARD]), PUBLIC)
    way = WayIn(cloud, provider, await cloud.admin_token())
    described = {"enabled": True, "remote_ids": [ISSUER]}
    await way.made("PUT", "/v3/OS-FEDERATION/identity_providers/acme", {"identity_provider": described})
    await way.made("PUT", "/v3/OS-FEDERATION/mappings/people", {"mapping": {"rules": rules}})
    protocol = {"mapping_id": "people", "remote_id_attribute": "HTTP_OIDC_ISS"}
    await way.made("PUT", AUTH.removesuffix("/auth"), {"protocol": protocol})
    return way


def named(identity_provider: str, protocol: str) -> OpenIDProvider:
    """The same provider under other names."""
    return replace(PROVIDER, identity_provider=identity_provider, protocol=protocol)
