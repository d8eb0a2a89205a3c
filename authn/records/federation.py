"""Whose word counts about users who are kept elsewhere. `rules`, `remote_ids` are as keystone's API has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authn.records.kind import Concerns, Kind, record_codec


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Somebody who authenticates users; these live in its domain here. The id is chosen by whoever makes it."""

    id: str
    domain_id: str
    enabled: bool = True
    description: str | None = None
    remote_ids: tuple[str, ...] = ()
    authorization_ttl: int | None = None
    """For how many minutes a group membership that it states holds after a login; None: for the token only."""
    extra: str = "{}"
    epoch: int = 0
    """Drawn at random, anew whenever the tokens of those it vouched for must end."""

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Mapping:
    """Rules (a JSON array) that turn what a provider says into a user and groups here."""

    id: str
    rules: str
    schema_version: str = "1.0"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class FederationProtocol:
    """A way to log in through a provider, and the mapping that it goes through. `id` is `provider/protocol`."""

    id: str
    mapping_id: str
    remote_id_attribute: str | None = None

    @property
    def unique_name(self) -> None:
        return None

    @property
    def provider_id(self) -> str:
        return self.id.partition("/")[0]

    @property
    def protocol_id(self) -> str:
        return self.id.partition("/")[2]


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """Another cloud that takes our word for our users."""

    id: str
    auth_url: str
    sp_url: str
    enabled: bool = True
    description: str | None = None
    relay_state_prefix: str = "ss:mem:"

    @property
    def unique_name(self) -> None:
        return None


IDENTITY_PROVIDER: Final[Kind[IdentityProvider]] = Kind(
    "identity-provider",
    "identity provider",
    record_codec("identity provider", IdentityProvider, 2),
    Concerns.EVERYBODY,
)
MAPPING: Final[Kind[Mapping]] = Kind("mapping", "mapping", record_codec("mapping", Mapping))
FEDERATION_PROTOCOL: Final[Kind[FederationProtocol]] = Kind(
    "protocol", "federated protocol", record_codec("federated protocol", FederationProtocol), Concerns.EVERYBODY
)
SERVICE_PROVIDER: Final[Kind[ServiceProvider]] = Kind(
    "service-provider", "service provider", record_codec("service provider", ServiceProvider)
)
