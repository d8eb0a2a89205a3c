"""Which provider a request is for, and whose word an assertion is."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from authn.errors import ForbiddenError, UnauthorizedError
from authn.federation.identity_providers import RelyingParties, require_remote_id
from authn.federation.openid import RelyingParty
from store.core.errors import InvalidError, NotFoundError
from tests.federation.fake_provider import ISSUER, PROVIDER, FakeProvider
from tests.twins.clock import ManualClock


def parties(*names: tuple[str, str]) -> RelyingParties:
    providers = [replace(PROVIDER, identity_provider=name, protocol=protocol) for name, protocol in names]
    http = httpx.AsyncClient(transport=httpx.MockTransport(FakeProvider().handle))
    return RelyingParties(RelyingParty(provider, http, ManualClock()) for provider in providers)


def test_a_provider_is_found_by_its_names() -> None:
    known = parties(("acme", "openid"), ("other", "openid"), ("acme", "second"))
    assert known.at("other", "openid").provider.identity_provider == "other"
    assert known.at("acme", "openid") is known.at("acme", "openid")
    with pytest.raises(NotFoundError):
        known.at("other", "second")


def test_a_protocol_alone_means_its_only_provider() -> None:
    known = parties(("acme", "openid"), ("other", "openid"), ("acme", "second"))
    assert known.only("second").provider.protocol == "second"
    with pytest.raises(InvalidError, match="name one"):
        known.only("openid")
    with pytest.raises(UnauthorizedError):
        known.only("saml2")


def test_whose_word_it_is_must_be_one_of_those_that_are_accepted() -> None:
    for told in (ISSUER, (ISSUER,)):
        require_remote_id({"HTTP_OIDC_ISS": told}, "HTTP_OIDC_ISS", [ISSUER])
        with pytest.raises(ForbiddenError):
            require_remote_id({"HTTP_OIDC_ISS": told}, "HTTP_OIDC_ISS", ["https://other.example.com"])
    with pytest.raises(ForbiddenError):
        require_remote_id({"HTTP_OIDC_ISS": ("x", ISSUER)}, "HTTP_OIDC_ISS", [ISSUER])
    with pytest.raises(UnauthorizedError):
        require_remote_id({}, "HTTP_OIDC_ISS", [ISSUER])
    require_remote_id({}, "", [ISSUER])
    require_remote_id({}, "HTTP_OIDC_ISS", [])
