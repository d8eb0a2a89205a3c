"""Unified limits: what identity says of how much a project may have of images (`/v3/registered_limits`, `/v3/limits`).

Resources are those of stock Glance: `image_count_total`, `image_size_total` and `image_stage_total` (MiB),
`image_count_uploading`. What has no registered limit has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authn.service import IdentityService
from gateway.rest.quota_records import NO_LIMIT

COUNT: Final = "image_count_total"
SIZE: Final = "image_size_total"
STAGE: Final = "image_stage_total"
UPLOADING: Final = "image_count_uploading"
RESOURCES: Final = (SIZE, STAGE, COUNT, UPLOADING)
DEFAULTS: Final[Mapping[str, int]] = dict.fromkeys(RESOURCES, NO_LIMIT)


def mebibytes(size: int) -> int:
    """What is counted of so many bytes: each begun MiB."""
    return -(-size // (1 << 20))


class UnifiedLimits:
    """Of the service of type `image`, as identity has them now."""

    def __init__(self, identity: IdentityService) -> None:
        self._identity = identity

    def __call__(self, project: str) -> dict[str, int]:
        """By resource; what is not limited is left out."""
        snapshot = self._identity.snapshot
        services = {service.id for service in snapshot.services if service.type == "image"}
        found = {
            one.resource_name: one.default_limit
            for one in snapshot.registered_limits
            if one.service_id in services and one.resource_name in RESOURCES
        }
        if found:
            own = (one for one in snapshot.limits if one.project_id == project and one.service_id in services)
            found |= {one.resource_name: one.resource_limit for one in own if one.resource_name in found}
        return found
