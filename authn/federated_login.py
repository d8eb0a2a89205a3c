"""From what a provider says to who that is here: the identity provider's record, its mapping, the user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from authn.administration import Administration
from authn.directory import Directory
from authn.errors import ForbiddenError, UnauthorizedError
from authn.federation.assertion import Assertion
from authn.federation.certificate import ISSUER, PROTOCOL, identity_provider_id
from authn.federation.identity_providers import require_remote_id
from authn.federation.local import LOCAL
from authn.federation.login import Asserted
from authn.federation.mapped import MappedIdentity, MappedUser
from authn.federation.mapping import apply
from authn.federation.rules import MappingRules, parse_rules
from authn.mapped_places import MappedGroups, MappedProjects
from authn.password_rules import PasswordRules
from authn.records import Domain
from authn.records.federation import FederationProtocol, IdentityProvider, Mapping
from authn.shadow_users import ShadowUsers, referred_domain
from authn.shadows import Shadows
from authn.snapshot import IdentitySnapshot
from authn.token_format import Federated
from authn.tokens import Proof
from store.core.clock import Clock
from store.core.errors import InvalidError, NotFoundError

METHODS: Final = ("mapped", "openid", "saml2", PROTOCOL)
"""What a token may say of how its user was authenticated: the protocol, or for one with another name `mapped`."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """An identity provider that is enabled, one of its protocols, and the mapping of that."""

    provider: IdentityProvider
    protocol: FederationProtocol
    mapping: Mapping

    def mapped(self, assertion: Assertion) -> MappedIdentity:
        """Who it is. Raises UnauthorizedError where it is nobody, or somebody else's word; ForbiddenError where it is
        that of none whom the provider stands for."""
        self._require_own_word(assertion)
        try:
            identity = apply(self.rules, assertion)
        except InvalidError as error:
            raise UnauthorizedError(str(error)) from error
        if identity is None:
            raise UnauthorizedError("The mapping makes nobody of what the identity provider says.")
        return identity

    @property
    def rules(self) -> MappingRules:
        return parsed_rules(self.mapping.rules, self.mapping.schema_version)

    def _require_own_word(self, assertion: Assertion) -> None:
        attribute = self.protocol.remote_id_attribute or ""
        if self.protocol.protocol_id == PROTOCOL:
            # Whose certificates are trusted at all, the TLS server says; here each authority is one provider only.
            attribute = attribute or ISSUER
            if not self.provider.remote_ids and self.provider.id != identity_provider_id(assertion):
                raise ForbiddenError("use a certificate of an authority that is not this identity provider's")
        require_remote_id(assertion, attribute, self.provider.remote_ids)


def way_in(snapshot: IdentitySnapshot, provider_id: str, protocol_id: str) -> WayIn:
    """Raises NotFoundError where there is no such way, ForbiddenError where the provider is disabled."""
    provider = snapshot.identity_providers.require(provider_id)
    if not provider.enabled:
        raise ForbiddenError(f"identity provider {provider_id} is disabled")
    protocol = snapshot.protocols.get(f"{provider_id}/{protocol_id}")
    if protocol is None:
        raise NotFoundError(f"Could not find federated protocol {protocol_id} for identity provider: {provider_id}.")
    return WayIn(provider, protocol, snapshot.mappings.require(protocol.mapping_id))


class FederatedLogin:
    """Makes proofs of assertions, and the users and projects that they need."""

    def __init__(
        self,
        directory: Directory,
        administration: Administration,
        shadows: Shadows,
        clock: Clock,
        rules: PasswordRules,
    ) -> None:
        self._directory = directory
        self._groups = MappedGroups(directory, shadows)
        self._users = ShadowUsers(directory, administration, clock, rules)
        self._projects = MappedProjects(directory, administration)

    async def proof(self, asserted: Asserted) -> Proof:
        """Raises UnauthorizedError, ForbiddenError and NotFoundError."""
        snapshot = self._directory.snapshot
        way = way_in(snapshot, asserted.identity_provider, asserted.protocol)
        identity = way.mapped(asserted.assertion)
        method = asserted.protocol if asserted.protocol in METHODS else METHODS[0]
        if identity.user.type == LOCAL:
            return Proof(self._users.local(identity.user), frozenset({method}))
        groups = await self._groups.ids(identity)
        own = snapshot.domains.require(way.provider.domain_id)
        domain = _domain(snapshot, identity.user, asserted.domain or own.id)
        user = await self._users.ephemeral(way.provider, asserted.protocol, identity.user, domain, groups)
        if identity.projects or way.rules.takes_roles:
            await self._projects.give(user, identity.projects, own, take_others=way.rules.takes_roles)
        federated = Federated(way.provider.id, asserted.protocol, groups, way.provider.epoch)
        return Proof(user, frozenset({method}), federated=federated)


def _domain(snapshot: IdentitySnapshot, user: MappedUser, default_id: str) -> Domain:
    """Where a new user is made. Raises UnauthorizedError for a domain that is not there or disabled."""
    found = referred_domain(snapshot, user.domain) if user.domain else snapshot.domains.get(default_id)
    if found is None or not found.enabled:
        raise UnauthorizedError("The user's domain does not exist, or is disabled.")
    return found


@lru_cache(maxsize=64)
def parsed_rules(rules: str, schema_version: str) -> MappingRules:
    return parse_rules(json.loads(rules), schema_version)
