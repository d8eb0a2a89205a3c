"""A cloud that vouches for its users to others, and a service provider that pysaml2 is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.saml.config import SamlConfig, parse_saml
from authn.service import IdentityConfig, IdentityService
from store.core.clock import Clock, SystemClock
from store.registry import memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud
from tests.authn.test_v3 import Answer, ask
from tests.twins.clock import ManualClock

ENTITY = "https://cloud.example.com/identity/v3/OS-FEDERATION/saml2/idp"
SP_URL = "https://sp.example.com/Shibboleth.sso/SAML2/ECP"
AUTH_URL = "https://sp.example.com/v3/OS-FEDERATION/identity_providers/cloud/protocols/saml2/auth"


@dataclass(frozen=True)
class Files:
    """A key and its certificate."""

    certfile: str
    keyfile: str
    certificate: x509.Certificate

    def table(self, **options: Any) -> dict[str, Any]:
        required = {"idp_entity_id": ENTITY, "idp_sso_endpoint": "https://cloud.example.com/sso"}
        return {**required, "certfile": self.certfile, "keyfile": self.keyfile, **options}

    def config(self, **options: Any) -> SamlConfig:
        return parse_saml(self.table(**options))


def made_files(folder: Path, name: str, bits: int = 2048) -> Files:
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    keyfile, certfile = folder / f"{name}.key", folder / f"{name}.pem"
    keyfile.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certfile.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Files(str(certfile), str(keyfile), certificate)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made_files(tmp_path_factory.mktemp("saml"), "idp")


@dataclass
class Vouching:
    """The cloud, where `ann` is a member of the project `quarry` and in the group `masons`, and the service provider
    `beta` is known."""

    cloud: Cloud
    admin: str
    token: str
    """Of ann, for the project."""

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """As an administrator."""
        return await ask(self.cloud, method, path, body, token=self.admin)

    async def asked(self, token: str = "", provider: str = "beta", path: str = "") -> Answer:
        body = {"identity": {"methods": ["token"], "token": {"id": token or self.token}}}
        scope = {"scope": {"service_provider": {"id": provider}}}
        return await ask(self.cloud, "POST", f"/v3/auth/OS-FEDERATION/saml2{path}", {"auth": body | scope})


async def vouching_cloud(nursery: trio.Nursery, saml: SamlConfig | None, clock: Clock) -> Vouching:
    registry = memory_registry(clock)
    made = await bootstrap(registry, password=PASSWORD, hasher=PasswordHasher(CHEAP))
    service = IdentityService(registry, IdentityConfig(LIFETIME_S, hash_cost=CHEAP, saml=saml), clock=clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    cloud = Cloud(registry, ManualClock(), service, made)
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    vouching = Vouching(cloud, await cloud.admin_token(), await cloud.token("ann", project))
    group = (await vouching.ask("POST", "/v3/groups", {"group": {"name": "masons"}})).json["group"]["id"]
    assert (await vouching.ask("PUT", f"/v3/groups/{group}/users/{ann.id}")).status == 204
    beta = {"auth_url": AUTH_URL, "sp_url": SP_URL, "enabled": True}
    path = "/v3/OS-FEDERATION/service_providers/beta"
    assert (await vouching.ask("PUT", path, {"service_provider": beta})).status == 201
    return vouching


@pytest.fixture
async def vouching(nursery: trio.Nursery, files: Files) -> Vouching:
    """By the clock of others, who judge what is said here."""
    return await vouching_cloud(nursery, files.config(), SystemClock())
