"""Logins with a client certificate, which the TLS server has verified."""

from __future__ import annotations

import datetime
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from authn.federation.certificate import assertion_of_certificate, identity_provider_id
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask
from tests.federation.fake_provider import NOW
from tests.federation.test_certificate import ISSUER, SUBJECT, certificate
from tests.federation.ways_in import open_way

NAMED = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_S_DN_CN"}]}]
DN = "CN=CA,O=Acme\\, Inc.,C=DE"
OWN = identity_provider_id(assertion_of_certificate(certificate()))


def shown(begins: float = NOW - 1, ends: float = NOW + 1) -> str:
    """In PEM. Times are in seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    first, last = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (begins, ends))
    builder = x509.CertificateBuilder(ISSUER, SUBJECT, key.public_key(), 7, first, last)
    return ssl.DER_cert_to_PEM_cert(builder.sign(key, SHA256()).public_bytes(Encoding.DER))


async def open_certificates(cloud: Cloud, provider: str, **protocol: Any) -> None:
    way = await open_way(cloud)
    remote_ids = protocol.pop("remote_ids", [])
    described = {"enabled": True, "remote_ids": remote_ids}
    await way.made("PUT", f"/v3/OS-FEDERATION/identity_providers/{provider}", {"identity_provider": described})
    await way.made("PUT", "/v3/OS-FEDERATION/mappings/cards", {"mapping": {"rules": NAMED}})
    path = f"/v3/OS-FEDERATION/identity_providers/{provider}/protocols/x509"
    await way.made("PUT", path, {"protocol": {"mapping_id": "cards", **protocol}})


async def log_in(cloud: Cloud, provider: str, chain: Any, error: str | None = None) -> Answer:
    tls = {"client_cert_chain": chain, "client_cert_error": error}
    path = f"/v3/OS-FEDERATION/identity_providers/{provider}/protocols/x509/auth"
    return await ask(cloud, "GET", path, extensions={"tls": tls})


async def test_a_certificate_is_a_user_of_its_authoritys_provider(cloud: Cloud) -> None:
    await open_certificates(cloud, OWN)
    answer = await log_in(cloud, OWN, [shown()])
    assert answer.status == 201
    assert answer.json["token"]["methods"] == ["x509"]
    assert answer.json["token"]["user"]["name"] == "jane;root"
    again = await log_in(cloud, OWN, [shown()])
    assert again.json["token"]["user"]["id"] == answer.json["token"]["user"]["id"]


async def test_an_authority_may_be_named(cloud: Cloud) -> None:
    await open_certificates(cloud, "cards", remote_ids=[DN])
    assert (await log_in(cloud, "cards", [shown()])).status == 201


async def test_a_protocol_may_look_at_another_attribute(cloud: Cloud) -> None:
    await open_certificates(cloud, "cards", remote_ids=["Acme"], remote_id_attribute="SSL_CLIENT_S_DN_O")
    assert (await log_in(cloud, "cards", [shown()])).status == 201


@pytest.mark.parametrize("protocol", [{}, {"remote_id_attribute": "SSL_CLIENT_I_DN"}])
@pytest.mark.parametrize("remote_ids", [[], ["CN=Other"]])
async def test_another_authoritys_certificate_is_refused(cloud: Cloud, protocol: Any, remote_ids: Any) -> None:
    """Of all that the TLS server trusts, each vouches for its own users."""
    await open_certificates(cloud, "cards", remote_ids=remote_ids, **protocol)
    assert (await log_in(cloud, "cards", [shown()])).status == 403


async def test_without_a_certificate_that_holds_nobody_is_known(cloud: Cloud) -> None:
    await open_certificates(cloud, OWN)
    for chain in ([], ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]):
        assert (await log_in(cloud, OWN, chain)).status == 401
    assert (await log_in(cloud, OWN, [shown()], "expired")).status == 401
    assert (await log_in(cloud, OWN, [shown(ends=NOW - 1, begins=NOW - 9)])).status == 401
    assert (await log_in(cloud, OWN, [shown(begins=NOW + 1, ends=NOW + 9)])).status == 401
    path = f"/v3/OS-FEDERATION/identity_providers/{OWN}/protocols/x509/auth"
    headers = {"ssl-client-s-dn-cn": "jane", "authorization": "Bearer x", "x-ssl-client-cert": "x"}
    assert (await ask(cloud, "GET", path, headers=headers)).status == 401
