"""Who may use what is another project's, and how much of all a project may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec

EVERYBODY: Final = "*"
AS_SHARED: Final = "access_as_shared"
AS_EXTERNAL: Final = "access_as_external"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacPolicy(Standard):
    """Lets a project use a thing of another."""

    object_type: str
    """`network`, `qos_policy`, `security_group`, `address_scope`, `subnetpool` or `address_group`."""
    object_id: str
    action: str
    """AS_SHARED or AS_EXTERNAL."""
    target_project: str
    """Or EVERYBODY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota(Standard):
    """A project's own limits; its id is the project's."""

    limits: tuple[tuple[str, int], ...] = ()


RBAC_CODEC: Final = record_codec("RBAC policy", RbacPolicy)
QUOTA_CODEC: Final = record_codec("quota", Quota)
