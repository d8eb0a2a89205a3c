"""What service providers learn of this cloud, and what an operator may write down."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from saml2.xml.schema import validate

from authn.saml.config import parse_saml
from authn.saml.elements import PREFIXES
from authn.saml.opening import open_saml
from drystone.identity_file import read_identity_file
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import InvalidError
from tests.saml.conftest import ENTITY, Files, made_files
from tests.twins.clock import ManualClock

ORGANIZATION = {
    "idp_organization_name": "Quarry",
    "idp_organization_display_name": "The Quarry",
    "idp_organization_url": "https://quarry.example.com",
}
CONTACT = {
    "idp_contact_company": "Quarry",
    "idp_contact_name": "Ann",
    "idp_contact_surname": "Mason",
    "idp_contact_email": "ann@example.com",
    "idp_contact_telephone": "+1 800 555 0100",
}


def document(files: Files, **options: Any) -> Any:
    provider = open_saml(files.config(**options), ManualClock(), SystemRandom())
    assert provider is not None
    validate(provider.metadata.decode())  # against SAML's own schemas
    return etree.fromstring(provider.metadata)


def test_what_is_always_there(files: Files) -> None:
    told = document(files)
    assert told.get("entityID") == ENTITY
    (service,) = told.xpath("//md:SingleSignOnService", namespaces=PREFIXES)
    assert service.get("Location") == "https://cloud.example.com/sso"
    assert told.xpath("//md:Organization | //md:ContactPerson", namespaces=PREFIXES) == []


def test_who_runs_it(files: Files) -> None:
    told = document(files, **ORGANIZATION, **CONTACT, idp_contact_type="technical", idp_lang="fr")
    (name,) = told.xpath("//md:OrganizationDisplayName", namespaces=PREFIXES)
    assert (name.text, name.get("{http://www.w3.org/XML/1998/namespace}lang")) == ("The Quarry", "fr")
    (contact,) = told.xpath("//md:ContactPerson", namespaces=PREFIXES)
    assert contact.get("contactType") == "technical"
    assert contact.xpath("md:EmailAddress/text()", namespaces=PREFIXES) == ["ann@example.com"]


def test_the_file_has_it_in_a_table(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    path.write_text("[saml]\n" + "".join(f'{name} = "{value}"\n' for name, value in files.table().items()))
    assert read_identity_file(str(path)).saml == parse_saml(tomllib.loads(path.read_text())["saml"])
    assert read_identity_file(None).saml is None
    path.write_text("[saml]\n")
    with pytest.raises(InvalidError, match=r"identity.toml: saml: 'idp_entity_id' is a required property"):
        read_identity_file(str(path))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"idp_entity_id": "cloud"}, "saml.idp_entity_id: is no URI"),
        ({"idp_sso_endpoint": "https://[x"}, "saml.idp_sso_endpoint: is no URI"),
        ({"idp_entity_id": "urn:" + "x" * 1021}, "longer than 1024"),
        ({"certfile": "/nowhere"}, "saml.certfile: /nowhere cannot be read"),
        ({"assertion_expiration_time": 0}, "from 1 to 86400"),
        ({"assertion_expiration_time": True}, "from 1 to 86400"),
        ({"idp_contact_type": "friend"}, "one of technical, support"),
        ({"idp_contact_name": "Ann"}, "saml.idp_contact_name: goes together with idp_contact_company"),
        ({"xmlsec1_binary": "x"}, "xmlsec1_binary"),
    ],
)
def test_what_is_wrong_is_named(files: Files, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        files.config(**options)


def test_keys_that_are_refused(files: Files, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is not the key of the certificate"):
        files.config(keyfile=made_files(tmp_path, "other").keyfile)
    weak = made_files(tmp_path, "weak", bits=1024)
    with pytest.raises(InvalidError, match="no RSA key of 2048 bits"):
        weak.config()
    with pytest.raises(InvalidError, match="no certificate in PEM"):
        files.config(certfile=files.keyfile)
    with pytest.raises(InvalidError, match="no private key in PEM"):
        files.config(keyfile=files.certfile)


def test_a_text_that_xml_cannot_carry_stops_the_start(files: Files) -> None:
    config = files.config(**{**ORGANIZATION, "idp_organization_name": "Quarry\ufffe"})
    with pytest.raises(InvalidError, match="saml"):
        open_saml(config, SystemClock(), SystemRandom())
