"""The catalogue: regions, services, endpoints, and which projects are told of which endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authn.records.kind import Kind, record_codec


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the cloud. Its id is chosen by whoever makes it."""

    id: str
    description: str = ""
    parent_id: str = ""
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Service:
    """A line of the catalogue."""

    id: str
    type: str
    name: str
    description: str = ""
    enabled: bool = True
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is. `url` may hold `%(project_id)s`; one that begins with `/` is on the host that was asked."""

    id: str
    service_id: str
    interface: str
    url: str
    region: str
    enabled: bool = True
    extra: str = "{}"

    @property
    def unique_name(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class EndpointGroup:
    """Endpoints chosen by what they have in common. `filters` is a JSON object of service_id, interface, region_id,
    enabled."""

    id: str
    name: str
    filters: str
    description: str = ""

    @property
    def unique_name(self) -> tuple[str, str]:
        return "", self.name


REGION: Final[Kind[Region]] = Kind("region", "region", record_codec("region", Region))
SERVICE: Final[Kind[Service]] = Kind("service", "service", record_codec("service", Service, 2))
ENDPOINT: Final[Kind[Endpoint]] = Kind("endpoint", "endpoint", record_codec("endpoint", Endpoint, 2))
ENDPOINT_GROUP: Final[Kind[EndpointGroup]] = Kind(
    "endpoint-group", "endpoint group", record_codec("endpoint group", EndpointGroup)
)
