"""What identity remembers, a module a topic, and how each is stored (`kind`)."""

from __future__ import annotations

from authn.records.catalogue import ENDPOINT, ENDPOINT_GROUP, REGION, SERVICE, Endpoint, EndpointGroup, Region, Service
from authn.records.kind import ID_CHARACTERS_MAX, Concerns, Kind, R, Record, new_id
from authn.records.people import (
    DEFAULT_DOMAIN,
    DOMAIN,
    GROUP,
    PROJECT,
    ROLE,
    USER,
    Domain,
    Group,
    Project,
    Role,
    User,
)

__all__ = [
    "DEFAULT_DOMAIN",
    "DOMAIN",
    "ENDPOINT",
    "ENDPOINT_GROUP",
    "GROUP",
    "ID_CHARACTERS_MAX",
    "PROJECT",
    "REGION",
    "ROLE",
    "SERVICE",
    "USER",
    "Concerns",
    "Domain",
    "Endpoint",
    "EndpointGroup",
    "Group",
    "Kind",
    "Project",
    "R",
    "Record",
    "Region",
    "Role",
    "Service",
    "User",
    "new_id",
]
