"""Making key pairs, and the fingerprints of those that are brought along. Pure but for the keys, which are random."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from store.core.errors import InvalidError

BITS: Final = 2048
DAYS: Final = 3650
COMMENT: Final = "Generated-by-Nova"
"""As clients know keys that were made for them."""
SSH: Final = "ssh"
X509: Final = "x509"
TYPES: Final = (SSH, X509)

_PRINCIPAL_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""Of Windows: whom a certificate lets in."""
_COMMON_NAME_MAX: Final = 64


class Made(NamedTuple):
    """A new pair of keys, as text."""

    private_key: str
    public_key: str


def made(type_: str, user: str, now: datetime) -> Made:
    """Takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    return _certificate(key, user, now) if type_ == X509 else _ssh(key)


def fingerprint(type_: str, public_key: str) -> str:
    """Raises InvalidError for what is no key."""
    return _fingerprint_of_certificate(public_key) if type_ == X509 else _fingerprint_of_key(public_key)


def _ssh(key: rsa.RSAPrivateKey) -> Made:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Made(private.decode(), f"{public.decode()} {COMMENT}")


def _certificate(key: rsa.RSAPrivateKey, user: str, now: datetime) -> Made:
    """A certificate that signs itself, and the key along with it as PKCS #12 without a password, in base64."""
    principal = f"{user}@localhost".encode()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user[:_COMMON_NAME_MAX])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.OtherName(_PRINCIPAL_NAME, _utf8_string(principal))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    packed = pkcs12.serialize_key_and_certificates(None, key, certificate, None, serialization.NoEncryption())
    return Made(base64.b64encode(packed).decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())


def _utf8_string(value: bytes) -> bytes:
    """In DER."""
    length = len(value)
    size = bytes([length]) if length < 0x80 else b"\x82" + length.to_bytes(2, "big")
    return b"\x0c" + size + value


def _fingerprint_of_key(public_key: str) -> str:
    try:
        serialization.load_ssh_public_key(public_key.encode())
        held = base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise _invalid("failed to generate fingerprint") from error
    return _in_pairs(hashlib.md5(held, usedforsecurity=False).digest())


def _fingerprint_of_certificate(certificate: str) -> str:
    try:
        read = x509.load_pem_x509_certificate(certificate.encode())
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise _invalid("failed to generate X509 fingerprint") from error
    return _in_pairs(read.fingerprint(hashes.SHA1()))  # noqa: S303 as clients compare it


def _in_pairs(value: bytes) -> str:
    return value.hex(":")


def _invalid(why: str) -> InvalidError:
    return InvalidError(f"Keypair data is invalid: {why}")
