"""What is kept for others to go by: limits, a domain's configuration, policy blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authn.records.kind import Concerns, Kind, record_codec


@dataclass(frozen=True, slots=True)
class RegisteredLimit:
    """How much of a resource of a service each project may have, unless a limit of its own says otherwise."""

    id: str
    service_id: str
    region_id: str
    resource_name: str
    default_limit: int
    description: str | None = None

    @property
    def unique_name(self) -> tuple[str, str]:
        return f"{self.service_id}/{self.region_id}", self.resource_name


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one project, or one domain, may have."""

    id: str
    project_id: str
    domain_id: str
    service_id: str
    region_id: str
    resource_name: str
    resource_limit: int
    description: str | None = None

    @property
    def unique_name(self) -> tuple[str, str]:
        owner = f"project/{self.project_id}" if self.project_id else f"domain/{self.domain_id}"
        return f"{owner}/{self.service_id}/{self.region_id}", self.resource_name


@dataclass(frozen=True, slots=True)
class DomainConfig:
    """A domain's own settings, such as the directory that its users are in; the id is the domain's. `options` is a JSON
    object of groups of options; secrets among them are in `sealed_options`, such an object under the credential keys.
    """

    id: str
    options: str = "{}"
    sealed_options: bytes = b""

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class PolicyBlob:
    """A policy file that is kept for a service; keystone's oldest API, which nothing here goes by."""

    id: str
    blob: str
    type: str
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


REGISTERED_LIMIT: Final[Kind[RegisteredLimit]] = Kind(
    "registered-limit", "registered limit", record_codec("registered limit", RegisteredLimit)
)
LIMIT: Final[Kind[Limit]] = Kind("limit", "limit", record_codec("limit", Limit))
DOMAIN_CONFIG: Final[Kind[DomainConfig]] = Kind(
    "domain-config", "domain configuration", record_codec("domain configuration", DomainConfig), Concerns.EVERYBODY
)
POLICY_BLOB: Final[Kind[PolicyBlob]] = Kind("policy", "policy", record_codec("policy", PolicyBlob))
