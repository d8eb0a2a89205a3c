"""Who takes SAML at its word: pysaml2 as a service provider, with xmlsec1 for signatures. Nothing of it is ours."""

from __future__ import annotations

import base64
import shutil
from typing import Any

import pytest
from saml2 import BINDING_HTTP_POST
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.xml.schema import validate

from tests.saml.conftest import ENTITY, SP_URL

needs_xmlsec1 = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed")


def service_provider(metadata: bytes, sp_url: str = SP_URL) -> Saml2Client:
    """It trusts whom the metadata describe, and wants assertions to be signed."""
    config = SPConfig()
    config.load(
        {
            "entityid": "https://sp.example.com/shibboleth",
            "xmlsec_binary": shutil.which("xmlsec1"),
            "metadata": {"inline": [metadata.decode()]},
            "allow_unknown_attributes": True,
            "service": {
                "sp": {
                    "endpoints": {"assertion_consumer_service": [(sp_url, BINDING_HTTP_POST)]},
                    "allow_unsolicited": True,
                    "want_assertions_signed": True,
                    "want_response_signed": False,
                }
            },
        }
    )
    return Saml2Client(config)


def believed(metadata: bytes, response: bytes, sp_url: str = SP_URL) -> Any:
    """The attributes that the service provider takes from a response. Raises what pysaml2 does for what it does not
    believe."""
    validate(response.decode())
    client = service_provider(metadata, sp_url)
    found = client.parse_authn_request_response(base64.b64encode(response).decode(), BINDING_HTTP_POST)
    assert found.issuer() == ENTITY
    return found.ava
