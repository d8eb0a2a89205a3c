"""What an operator writes down of this cloud as an identity provider: the table `saml`, by stock Keystone's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from authn.federation.fields import a_text, an_object
from store.core.errors import InvalidError

ENTITY_ID_CHARACTERS_MAX: Final = 1024
"""SAML's bound."""
SECONDS_MAX: Final = 86_400
KEY_BITS_MIN: Final = 2048

CONTACT_TYPES: Final = ("technical", "support", "administrative", "billing", "other")
"""SAML's."""

_REQUIRED: Final = ("idp_entity_id", "idp_sso_endpoint", "certfile", "keyfile")
_ORGANIZATION: Final = {
    "idp_organization_name": "name",
    "idp_organization_display_name": "display_name",
    "idp_organization_url": "url",
}
_CONTACT: Final = {
    "idp_contact_company": "company",
    "idp_contact_name": "name",
    "idp_contact_surname": "surname",
    "idp_contact_email": "email",
    "idp_contact_telephone": "telephone",
}
_TTL: Final = "assertion_expiration_time"
_OTHERS: Final = (_TTL, "idp_lang", "idp_contact_type")


@dataclass(frozen=True, slots=True)
class Organization:
    """Who runs the cloud, for metadata."""

    name: str
    display_name: str
    url: str
    language: str


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask, for metadata."""

    company: str
    name: str
    surname: str
    email: str
    telephone: str
    type: str


@dataclass(frozen=True, slots=True)
class SamlConfig:
    """Make one of a file's table with `parse_saml`."""

    entity_id: str
    sso_endpoint: str
    certificate: bytes
    """PEM."""
    key: bytes
    """PEM, of an RSA key; the certificate's."""
    lifetime_s: int = 3600
    """Of an assertion."""
    organization: Organization | None = None
    contact: Contact | None = None


def parse_saml(value: Any) -> SamlConfig:
    """Reads the key and the certificate, too. Raises InvalidError that names what is missing, wrong or unknown."""
    held = an_object(value, "saml", required=_REQUIRED, allowed=(*_ORGANIZATION, *_CONTACT, *_OTHERS))
    texts = {name: a_text(held[name], f"saml.{name}", most=ENTITY_ID_CHARACTERS_MAX) for name in held if name != _TTL}
    for name in ("idp_entity_id", "idp_sso_endpoint"):
        if not _is_uri(texts[name]):
            raise InvalidError(f"saml.{name}: is no URI, such as https://cloud.example.com/identity/v3")
    certificate, key = _pair(texts["certfile"], texts["keyfile"])
    seconds = held.get(_TTL, 3600)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= SECONDS_MAX:
        raise InvalidError(f"saml.{_TTL}: a whole number of seconds from 1 to {SECONDS_MAX}")
    kind = texts.get("idp_contact_type", "other")
    if kind not in CONTACT_TYPES:
        raise InvalidError(f"saml.idp_contact_type: one of {', '.join(CONTACT_TYPES)}")
    organization, contact = _together(texts, _ORGANIZATION), _together(texts, _CONTACT)
    return SamlConfig(
        texts["idp_entity_id"],
        texts["idp_sso_endpoint"],
        certificate,
        key,
        seconds,
        Organization(**organization, language=texts.get("idp_lang", "en")) if organization else None,
        Contact(**contact, type=kind) if contact else None,
    )


def _together(texts: dict[str, str], names: Mapping[str, str]) -> dict[str, str] | None:
    """The values of options that belong together, by what they are called here. Raises InvalidError where only a part
    of them is there."""
    given = [name for name in names if name in texts]
    if given and len(given) < len(names):
        missing = ", ".join(name for name in names if name not in texts)
        raise InvalidError(f"saml.{given[0]}: goes together with {missing}")
    return {called: texts[name] for name, called in names.items()} if given else None


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) and text.isprintable() and " " not in text
    except ValueError:
        return False


def _pair(certfile: str, keyfile: str) -> tuple[bytes, bytes]:
    """The certificate and the key that belongs to it, as PEM."""
    certificate_pem, key_pem = _read("certfile", certfile), _read("keyfile", keyfile)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise InvalidError(f"saml.certfile: {certfile} is no certificate in PEM") from error
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidError(f"saml.keyfile: {keyfile} is no private key in PEM without a password") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < KEY_BITS_MIN:
        raise InvalidError(f"saml.keyfile: {keyfile} is no RSA key of {KEY_BITS_MIN} bits or more")
    if key.public_key() != certificate.public_key():
        raise InvalidError(f"saml.keyfile: {keyfile} is not the key of the certificate {certfile}")
    return certificate.public_bytes(Encoding.PEM), key_pem


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidError(f"saml.{name}: {path} cannot be read: {error}") from error
