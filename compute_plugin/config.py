"""What an operator says of servers: the table `compute` of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compute_plugin.settings import LIMITS, Settings
from compute_plugin.v2.policy.table import compute_policy
from gateway.rest.policy import Policy
from store.core.errors import InvalidError

RATIO_MOST: Final = 1000.0
NUMBER_MOST: Final = 2**31 - 1

_KNOWN: Final = (
    "zone", "cpu_ratio", "ram_ratio", "ram_reserved_mib", "disk_ratio", "limits", "console_s", "reclaim_s", "stop_s",
    "hypervisor", "migration_uri", "policy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ComputeConfig:
    """All of it."""

    settings: Settings = field(default_factory=Settings)
    policy: Policy = field(default_factory=compute_policy)


def parse_compute_config(value: Any) -> ComputeConfig:
    """Of what Settings has, by the same names, and `policy` (checks by operation or rule). Raises InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError("compute: a table")
    for name in value.keys() - set(_KNOWN):
        raise InvalidError(f"compute.{name}: not known here")
    plain = Settings()
    settings = Settings(
        zone=_zone(value.get("zone", plain.zone)),
        cpu_ratio=_ratio("cpu_ratio", value.get("cpu_ratio", plain.cpu_ratio)),
        ram_ratio=_ratio("ram_ratio", value.get("ram_ratio", plain.ram_ratio)),
        ram_reserved_mib=_number("ram_reserved_mib", value.get("ram_reserved_mib", plain.ram_reserved_mib), 0),
        disk_ratio=_ratio("disk_ratio", value.get("disk_ratio", plain.disk_ratio)),
        limits=_limits(value.get("limits", {})),
        console_s=_number("console_s", value.get("console_s", plain.console_s), 1),
        reclaim_s=_number("reclaim_s", value.get("reclaim_s", plain.reclaim_s), 0),
        stop_s=_ratio("stop_s", value.get("stop_s", plain.stop_s), 86_400.0),
        hypervisor=_text("hypervisor", value.get("hypervisor", plain.hypervisor)),
        migration_uri=_text("migration_uri", value["migration_uri"]) if "migration_uri" in value else "",
    )
    return ComputeConfig(settings, compute_policy(_checks(value.get("policy", {}))))


def _number(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= NUMBER_MOST:
        raise InvalidError(f"compute.{name}: a whole number from {least}")
    return value


def _ratio(name: str, value: Any, most: float = RATIO_MOST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise InvalidError(f"compute.{name}: a number above 0, at most {most:g}")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 255:
        raise InvalidError(f"compute.{name}: a text")
    return value


def _zone(value: Any) -> str:
    zone = _text("zone", value)
    if zone != zone.strip() or ":" in zone:
        raise InvalidError("compute.zone: a name without a colon")
    return zone


def _limits(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise InvalidError("compute.limits: a table of numbers, such as instances = 10")
    for name in value.keys() - LIMITS.keys():
        raise InvalidError(f"compute.limits.{name}: there are limits of {', '.join(LIMITS)}")
    return {name: _number(f"limits.{name}", limit, -1) for name, limit in value.items()}


def _checks(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(check, str) for check in value.values()):
        raise InvalidError(
            'compute.policy: a table of checks, such as "os_compute_api:os-hypervisors:list" = "role:member"'
        )
    return value
