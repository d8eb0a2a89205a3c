"""Elements of SAML 2.0, as its schemas have them: responses with one assertion, SOAP envelopes, metadata.

Sources: saml-core-2.0-os, saml-profiles-2.0-os (4.2, Enhanced Client or Proxy), saml-metadata-2.0-os.
"""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

from authn.saml.config import Contact, Organization, SamlConfig
from authn.saml.subject import Subject

ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ECP: Final = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
PREFIXES: Final = {"saml": ASSERTION, "samlp": PROTOCOL, "ds": SIGNATURE, "md": METADATA, "soap": SOAP, "ecp": ECP}

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PASSWORD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"  # noqa: S105  # a class of authentication
URI_BINDING: Final = "urn:oasis:names:tc:SAML:2.0:bindings:URI"
NEXT_ACTOR: Final = "http://schemas.xmlsoap.org/soap/actor/next"

_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"

Element = Any
"""lxml's, which has no types."""


def add(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """A new child, by its prefix and name. Raises ValueError for text that XML cannot carry."""
    prefix, _, local = name.partition(":")
    child = etree.SubElement(parent, f"{{{PREFIXES[prefix]}}}{local}", attributes)
    child.text = text
    return child


def root(name: str, *prefixes: str, **attributes: str) -> Element:
    """An element by itself, which declares the prefixes of what is below it."""
    prefix, _, local = name.partition(":")
    declared = {one: PREFIXES[one] for one in (prefix, *prefixes)}
    return etree.Element(f"{{{PREFIXES[prefix]}}}{local}", attributes, nsmap=declared)


def assertion(subject: Subject, *, id_: str, issuer: str, recipient: str, now: str, ends: str, session: str) -> Element:
    """What the issuer says of the subject to the recipient (a URL), not signed yet: where the signature is to be, there
    is an empty one. Times are as XML has them."""
    made = root("saml:Assertion", ID=id_, IssueInstant=now, Version="2.0")
    add(made, "saml:Issuer", issuer, Format=ENTITY)
    made.append(root("ds:Signature", Id="placeholder"))
    about = add(made, "saml:Subject")
    add(about, "saml:NameID", subject.user.name)
    confirmed = add(about, "saml:SubjectConfirmation", Method=BEARER)
    add(confirmed, "saml:SubjectConfirmationData", NotOnOrAfter=ends, Recipient=recipient)
    said = add(made, "saml:AuthnStatement", AuthnInstant=now, SessionIndex=session, SessionNotOnOrAfter=ends)
    context = add(said, "saml:AuthnContext")
    add(context, "saml:AuthnContextClassRef", PASSWORD)
    add(context, "saml:AuthenticatingAuthority", issuer)
    attributes = add(made, "saml:AttributeStatement")
    for name, values in subject.attributes():
        attribute = add(
            attributes, "saml:Attribute", Name=name
        )  # of no format, as service providers know it of stock Keystone
        for value in values:
            add(attribute, "saml:AttributeValue", value)
    return made


def response(signed: Element, *, id_: str, issuer: str, recipient: str, now: str) -> Element:
    """Success, and the assertion."""
    made = root("samlp:Response", "saml", Destination=recipient, ID=id_, IssueInstant=now, Version="2.0")
    add(made, "saml:Issuer", issuer, Format=ENTITY)
    add(add(made, "samlp:Status"), "samlp:StatusCode", Value=SUCCESS)
    made.append(signed)
    return made


def envelope(body: Element, relay_state: str) -> Element:
    """The response for a client without a browser, who carries it to the service provider."""
    made = root("soap:Envelope", "ecp")
    state = add(add(made, "soap:Header"), "ecp:RelayState", relay_state)
    state.set(f"{{{SOAP}}}actor", NEXT_ACTOR)
    state.set(f"{{{SOAP}}}mustUnderstand", "1")
    add(made, "soap:Body").append(body)
    return made


def metadata(config: SamlConfig, certificate: str) -> Element:
    """What service providers have to know of us. `certificate`: DER in base 64."""
    made = root("md:EntityDescriptor", "ds", entityID=config.entity_id)
    ours = add(made, "md:IDPSSODescriptor", protocolSupportEnumeration=PROTOCOL)
    key = add(add(ours, "md:KeyDescriptor", use="signing"), "ds:KeyInfo")
    add(add(key, "ds:X509Data"), "ds:X509Certificate", certificate)
    if config.organization is not None:
        _organization(ours, config.organization)
    if config.contact is not None:
        _contact(ours, config.contact)
    add(ours, "md:NameIDFormat", TRANSIENT)
    add(ours, "md:SingleSignOnService", Binding=URI_BINDING, Location=config.sso_endpoint)
    return made


def _organization(parent: Element, told: Organization) -> None:
    made = add(parent, "md:Organization")
    for name, text in (("Name", told.name), ("DisplayName", told.display_name), ("URL", told.url)):
        add(made, f"md:Organization{name}", text).set(_LANGUAGE, told.language)


def _contact(parent: Element, told: Contact) -> None:
    made = add(parent, "md:ContactPerson", contactType=told.type)
    add(made, "md:Company", told.company)
    add(made, "md:GivenName", told.name)
    add(made, "md:SurName", told.surname)
    add(made, "md:EmailAddress", told.email)
    add(made, "md:TelephoneNumber", told.telephone)
