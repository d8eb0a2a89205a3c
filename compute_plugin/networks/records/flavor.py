"""Flavors of what the network service serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor(Standard):
    """That projects may ask for without knowing what is behind it."""

    service_type: str
    enabled: bool = True
    profile_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProfile(Standard):
    """What is behind flavors."""

    driver: str = ""
    metainfo: str = ""
    enabled: bool = True


FLAVOR_CODEC: Final = record_codec("network flavor", Flavor)
SERVICE_PROFILE_CODEC: Final = record_codec("service profile", ServiceProfile)
