"""The providers that a cloud trusts, found by the names in a request; and whose word an assertion is."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from authn.errors import ForbiddenError, UnauthorizedError
from authn.federation.assertion import Assertion
from authn.federation.openid import RelyingParty
from store.core.errors import InvalidError, NotFoundError


class RelyingParties:
    """We, towards each provider."""

    def __init__(self, parties: Iterable[RelyingParty] = ()) -> None:
        self._parties = {(party.provider.identity_provider, party.provider.protocol): party for party in parties}

    def at(self, identity_provider: str, protocol: str) -> RelyingParty:
        """Raises NotFoundError."""
        party = self._parties.get((identity_provider, protocol))
        if party is None:
            raise NotFoundError(f"Could not find federated protocol {protocol} for identity provider.")
        return party

    def only(self, protocol: str) -> RelyingParty:
        """For requests that name no identity provider. Raises UnauthorizedError where none has that protocol,
        InvalidError where several have."""
        found = [party for (_, name), party in self._parties.items() if name == protocol]
        if not found:
            raise UnauthorizedError("Missing entity ID from environment")
        if len(found) > 1:
            raise InvalidError("Several identity providers have this protocol: name one in the URL.")
        return found[0]


def require_remote_id(assertion: Assertion, attribute: str, remote_ids: Collection[str]) -> None:
    """Raise UnauthorizedError where an assertion does not say whose word it is, ForbiddenError where it is that of none
    of the identity provider's `remote_ids`. Where nothing is set for either, everyone is taken at their word, as in
    Keystone; `attribute` is the protocol's `remote_id_attribute`, for OpenID Connect usually HTTP_OIDC_ISS."""
    if not attribute or not remote_ids:
        return
    told = assertion.get(attribute)
    if told is None:
        raise UnauthorizedError("Could not find Identity Provider identifier in environment")
    issuer = told if isinstance(told, str) else ";".join(told)
    if issuer not in remote_ids:
        raise ForbiddenError("Incoming identity provider identifier not included among the accepted identifiers.")
