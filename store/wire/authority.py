"""The cluster's certificate authority: made by the first node, so that every process can tell who is of the cluster.

A node's certificate names it twice: its common name and a DNS name are `<node>.<cluster id>.drystone`. It serves as
that of a server and of a client. Keys are ECDSA on P-256; the authority lives for 20 years, a node's certificate for
`NODE_DAYS`.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from store.core.errors import InvalidError

AUTHORITY_DAYS: Final = 20 * 365
NODE_DAYS: Final = 2 * 365
_EARLY: Final = datetime.timedelta(days=1)
"""A certificate is valid a little before it was made: clocks of machines differ."""


class Identity(NamedTuple):
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes


def node_name(node: str, cluster: str) -> str:
    """The name that a node's certificate has."""
    return f"{node}.{cluster}.drystone"


def fingerprint(certificate: bytes) -> str:
    """What names an authority in a token: SHA-256 of its certificate, in hexadecimal."""
    return hashlib.sha256(_certificate_of(certificate).public_bytes(serialization.Encoding.DER)).hexdigest()


def make_authority(cluster: str, now: datetime.datetime) -> Identity:
    """A new authority for a cluster."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{cluster}.drystone")])
    builder = _begin(name, name, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _identity(builder.sign(key, hashes.SHA256()), key)


def make_request(node: str, cluster: str) -> tuple[bytes, bytes]:
    """(signing request, key), both as PEM: the key never leaves its node."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_name(node, cluster))])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM), _pem_of(key)


def sign_request(
    authority: Identity, request: bytes, node: str, cluster: str, now: datetime.datetime, host: str = ""
) -> bytes:
    """A certificate for a node, as PEM: the name is what the authority says, whatever the request says. `host` is where
    it is reached, for programs that know nodes by that (etcd). Raises InvalidError for what is no request, or is not
    signed with the key that it names."""
    try:
        asked = x509.load_pem_x509_csr(request)
    except ValueError as error:
        raise InvalidError(f"this is no signing request: {error}") from error
    if not asked.is_signature_valid:
        raise InvalidError("a signing request that is not signed with its own key")
    key = asked.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidError("a node's key is one of an elliptic curve")
    issuer = _certificate_of(authority.certificate)
    full_name = node_name(node, cluster)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, full_name)])
    builder = _begin(subject, issuer.subject, key, now, NODE_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(full_name), *_host(host)]), critical=False
    )
    builder = builder.add_extension(_usage(signs=False), critical=True)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(_signer_of(authority), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue(authority: Identity, node: str, cluster: str, now: datetime.datetime, host: str = "") -> Identity:
    """Certificate and key for a node, both made here."""
    request, key = make_request(node, cluster)
    return Identity(sign_request(authority, request, node, cluster, now, host), key)


def _host(host: str) -> list[x509.GeneralName]:
    """Behind the node's own name, which is the first."""
    if not host:
        return []
    try:
        return [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        return [x509.DNSName(host)]
    except ValueError as error:
        raise InvalidError(f"{host!r} is the name of no host: {error}") from error


def revoke(authority: Identity, serials: Iterable[str], now: datetime.datetime) -> bytes:
    """The list of certificates that are not to be believed any more, by their serial numbers, as PEM: for programs that
    know no other way (etcd)."""
    issuer = _certificate_of(authority.certificate)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(now - _EARLY).next_update(now + datetime.timedelta(days=AUTHORITY_DAYS))
    for serial in sorted(serials):
        revoked = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(now - _EARLY)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(_signer_of(authority), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def is_of(certificate: bytes, authority: bytes) -> bool:
    """Whether an authority signed a certificate."""
    try:
        _certificate_of(certificate).verify_directly_issued_by(_certificate_of(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def serial_of(certificate: bytes) -> str:
    """The serial number of a certificate, in hexadecimal: what tells a node's certificate from the one before it."""
    return f"{_certificate_of(certificate).serial_number:x}"


def cluster_of(certificate: bytes) -> str:
    """The cluster that a node's certificate names. `certificate` is DER, as a link shows it. Nothing is verified.

    Raises InvalidError where it is no certificate of a node.
    """
    try:
        found = x509.load_der_x509_certificate(certificate)
        name = str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (ValueError, IndexError) as error:
        raise InvalidError(f"this is no certificate of a node: {error}") from error
    match name.split("."):
        case [_, cluster, "drystone"]:
            return cluster
    raise InvalidError(f"the certificate names {name}, and no node of Drystone")


def _certificate_of(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidError(f"this is no certificate: {error}") from error


def _signer_of(authority: Identity) -> ec.EllipticCurvePrivateKey:
    signer = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise InvalidError("the authority's key is none of an elliptic curve")
    return signer


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _identity(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Identity:
    return Identity(certificate.public_bytes(serialization.Encoding.PEM), _pem_of(key))


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
