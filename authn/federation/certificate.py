"""A client's certificate as an assertion, by the names of Apache's mod_ssl. Whoever calls has verified the chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from authn.errors import UnauthorizedError
from authn.federation.assertion import Assertion, is_text

PROTOCOL: Final = "x509"
"""Of those who log in with a certificate."""
ISSUER: Final = "SSL_CLIENT_I_DN"

_PARTS: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.TITLE: "T",
    NameOID.INITIALS: "I",
    NameOID.GIVEN_NAME: "G",
    NameOID.SURNAME: "S",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
    NameOID.EMAIL_ADDRESS: "Email",
}

_WHOLE: Final = {
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.SURNAME: "SN",
    NameOID.GIVEN_NAME: "GN",
    NameOID.TITLE: "title",
    NameOID.INITIALS: "initials",
}
"""What OpenSSL writes where RFC 4514 has no names."""


_UNREADABLE: Final = (ValueError, TypeError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension)
"""What reading a part of a certificate raises: names of bits and of old encodings are read no sooner than they are
asked for."""


def assertion_of_certificate(der: bytes) -> Assertion:
    """What a certificate in DER says: the names of its subject and issuer as a whole (RFC 4514, as `openssl x509
    -nameopt rfc2253` writes them) and by their parts, such as SSL_CLIENT_S_DN_CN and SSL_CLIENT_I_DN_O; names of its
    subject besides, such as SSL_CLIENT_SAN_Email_0; its serial number in hexadecimal digits.

    A part that is there several times is as many values. Raises UnauthorizedError for what is no certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        values = {
            "SSL_CLIENT_VERIFY": ("SUCCESS",),
            "SSL_CLIENT_M_SERIAL": (f"{certificate.serial_number:X}",),
            **_of_name("SSL_CLIENT_S_DN", certificate.subject),
            **_of_name(ISSUER, certificate.issuer),
            **{name: (value,) for name, value in _other_names(certificate)},
        }
    except _UNREADABLE as error:
        raise UnauthorizedError("The certificate cannot be read.") from error
    return {name: those for name, those in values.items() if all(map(is_text, those))}


def subject_and_issuer(der: bytes) -> Assertion:
    """The names of a certificate in DER as Keystone's OAuth 2.0 calls them, such as SSL_CLIENT_SUBJECT_DN_CN,
    SSL_CLIENT_SUBJECT_DN_EMAILADDRESS and SSL_CLIENT_ISSUER_DN_O, each with all its values (Keystone: the last).

    Raises UnauthorizedError for what is no certificate.
    """
    held = _read(der)
    found: dict[str, tuple[str, ...]] = {}
    try:
        names = {"SUBJECT": held.subject, "ISSUER": held.issuer}
    except _UNREADABLE as error:
        raise UnauthorizedError("The certificate's names cannot be read.") from error
    for whose, name in names.items():
        for attribute in name:
            short = _WHOLE.get(attribute.oid, attribute.rfc4514_attribute_name).upper()
            if isinstance(attribute.value, str) and is_text(attribute.value):
                key = f"SSL_CLIENT_{whose}_DN_{short}"
                found[key] = (*found.get(key, ()), attribute.value)
    return found


def ends_s(der: bytes) -> int:
    """When a certificate in DER ends, in whole seconds. Raises UnauthorizedError for what is no certificate."""
    return int(_read(der).not_valid_after_utc.timestamp())


def require_valid(der: bytes, now: float) -> None:
    """Raise UnauthorizedError where a certificate in DER has ended, or is not good yet. `now` is in seconds."""
    held = _read(der)
    if not held.not_valid_before_utc.timestamp() <= now <= held.not_valid_after_utc.timestamp():
        raise UnauthorizedError("The certificate has ended, or is not good yet.")


def identity_provider_id(assertion: Assertion) -> str:
    """The id of the identity provider that stands for an issuer: SHA-256, in hexadecimal digits, of its name as a
    whole. Raises UnauthorizedError without one."""
    match assertion.get(ISSUER):
        case (str(issuer),) if issuer:
            return hashlib.sha256(issuer.encode()).hexdigest()
        case _:
            raise UnauthorizedError("The certificate names no issuer.")


def _read(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise UnauthorizedError("The certificate cannot be read.") from error


def _of_name(prefix: str, name: x509.Name) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {prefix: (name.rfc4514_string(_WHOLE),)}
    for attribute in name:
        part = _PARTS.get(attribute.oid)
        if part is not None and isinstance(attribute.value, str):
            key = f"{prefix}_{part}"
            found[key] = (*found.get(key, ()), attribute.value)
    return found


def _other_names(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for number, email in enumerate(names.get_values_for_type(x509.RFC822Name)):
        yield f"SSL_CLIENT_SAN_Email_{number}", email
    for number, host in enumerate(names.get_values_for_type(x509.DNSName)):
        yield f"SSL_CLIENT_SAN_DNS_{number}", host
