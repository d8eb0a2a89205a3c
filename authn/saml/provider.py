"""`SamlProvider`: signed words about users, for service providers. signxml signs (RSA, SHA-256)."""

from __future__ import annotations

import base64
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from authn.saml import elements
from authn.saml.config import SamlConfig
from authn.saml.elements import Element
from authn.saml.subject import Subject
from gateway.rest import times
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import InvalidError

_SIGNER: Final = XMLSigner(
    signature_algorithm=SignatureMethod.RSA_SHA256,
    digest_algorithm=DigestAlgorithm.SHA256,
    c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
)


class SamlProvider:
    """We, towards service providers."""

    def __init__(self, config: SamlConfig, clock: Clock, random: Random) -> None:
        self._config = config
        self._clock = clock
        self._random = random
        self.metadata = self._metadata()
        """The document that service providers are configured with."""

    def response(self, subject: Subject, recipient: str) -> bytes:
        """A response with a signed assertion for the service provider at the URL. Raises InvalidError for names that
        XML cannot carry."""
        return _packed(self._response(subject, recipient))

    def envelope(self, subject: Subject, recipient: str, relay_state_prefix: str) -> bytes:
        """The same for a client that carries it itself (ECP)."""
        body = self._response(subject, recipient)
        try:
            return _packed(elements.envelope(body, f"{relay_state_prefix}{self._drawn()}"))
        except ValueError as error:
            raise InvalidError(f"relay_state_prefix: {error}") from error

    def _response(self, subject: Subject, recipient: str) -> Element:
        config, now_s = self._config, self._clock.wall_us() // 1_000_000
        now, ends = times.shown(now_s), times.shown(now_s + config.lifetime_s)
        id_ = f"_{self._drawn()}"  # an ID of XML begins with no digit
        try:
            plain = elements.assertion(
                subject,
                id_=id_,
                issuer=config.entity_id,
                recipient=recipient,
                now=now,
                ends=ends,
                session=self._drawn(),
            )
        except ValueError as error:
            raise InvalidError(f"a name cannot be told in SAML: {error}") from error
        signed = _SIGNER.sign(
            plain, key=config.key, cert=config.certificate.decode(), reference_uri=f"#{id_}", id_attribute="ID"
        )
        return elements.response(signed, id_=f"_{self._drawn()}", issuer=config.entity_id, recipient=recipient, now=now)

    def _metadata(self) -> bytes:
        der = x509.load_pem_x509_certificate(self._config.certificate).public_bytes(Encoding.DER)
        try:
            return _packed(elements.metadata(self._config, base64.b64encode(der).decode()))
        except ValueError as error:
            raise InvalidError(f"saml: {error}") from error

    def _drawn(self) -> str:
        return self._random.bytes(16).hex()


def _packed(element: Element) -> bytes:
    packed: bytes = etree.tostring(element, xml_declaration=True, encoding="UTF-8")
    return packed
