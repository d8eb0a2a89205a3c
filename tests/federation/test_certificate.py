"""Client certificates, by the names that mappings know."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from authn.errors import UnauthorizedError
from authn.federation.certificate import assertion_of_certificate, identity_provider_id
from authn.federation.mapping import apply
from authn.federation.rules import parse_rules


def name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


ISSUER = name((NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Acme, Inc."), (NameOID.COMMON_NAME, "CA"))
SUBJECT = name(
    (NameOID.ORGANIZATION_NAME, "Acme"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Ops"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Dev"),
    (NameOID.COMMON_NAME, "jane;root"),
    (NameOID.USER_ID, "u1"),
    (NameOID.EMAIL_ADDRESS, "jane@example.com"),
)


def certificate(subject: x509.Name = SUBJECT, names: list[x509.GeneralName] | None = None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(ISSUER, subject, key.public_key(), 0xABC, now, now + datetime.timedelta(1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_parts_and_wholes_have_their_names() -> None:
    names = [x509.RFC822Name("j@example.com"), x509.DNSName("jane.example.com"), x509.DNSName("b.example.com")]
    assert assertion_of_certificate(certificate(names=names)) == {
        "SSL_CLIENT_VERIFY": ("SUCCESS",),
        "SSL_CLIENT_M_SERIAL": ("ABC",),
        "SSL_CLIENT_S_DN": ("emailAddress=jane@example.com,UID=u1,CN=jane\\;root,OU=Dev,OU=Ops,O=Acme",),
        "SSL_CLIENT_S_DN_O": ("Acme",),
        "SSL_CLIENT_S_DN_OU": ("Ops", "Dev"),
        "SSL_CLIENT_S_DN_CN": ("jane;root",),
        "SSL_CLIENT_S_DN_UID": ("u1",),
        "SSL_CLIENT_S_DN_Email": ("jane@example.com",),
        "SSL_CLIENT_I_DN": ("CN=CA,O=Acme\\, Inc.,C=DE",),
        "SSL_CLIENT_I_DN_C": ("DE",),
        "SSL_CLIENT_I_DN_O": ("Acme, Inc.",),
        "SSL_CLIENT_I_DN_CN": ("CA",),
        "SSL_CLIENT_SAN_Email_0": ("j@example.com",),
        "SSL_CLIENT_SAN_DNS_0": ("jane.example.com",),
        "SSL_CLIENT_SAN_DNS_1": ("b.example.com",),
    }


def test_an_issuer_is_an_identity_provider() -> None:
    found = identity_provider_id(assertion_of_certificate(certificate()))
    assert found == hashlib.sha256(b"CN=CA,O=Acme\\, Inc.,C=DE").hexdigest()


def test_a_mapping_as_keystone_describes_it_makes_a_user_of_it() -> None:
    local = [{"user": {"name": "{0}", "domain": {"name": "{1}"}, "type": "local"}}]
    remote = [{"type": "SSL_CLIENT_S_DN_CN"}, {"type": "SSL_CLIENT_S_DN_O"}]
    found = apply(parse_rules([{"local": local, "remote": remote}]), assertion_of_certificate(certificate()))
    assert found is not None
    assert found.user.name == "jane;root"
    assert found.user.domain is not None
    assert found.user.domain.name == "Acme"


@pytest.mark.parametrize("der", [b"", b"\x30\x00", certificate()[:-9]])
def test_what_is_no_certificate_is_nobodys(der: bytes) -> None:
    with pytest.raises(UnauthorizedError):
        assertion_of_certificate(der)


def test_without_an_issuer_there_is_no_identity_provider() -> None:
    for assertion in ({}, {"SSL_CLIENT_I_DN": ("",)}):
        with pytest.raises(UnauthorizedError):
            identity_provider_id(assertion)
