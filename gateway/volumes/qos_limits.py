"""What a volume may do in a second, by the QoS specs of its type. Keys and their meaning are stock cinder's
(its documentation: "Back-end QoS", "Front-end QoS"), whoever is named as the consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.volumes.qos_records import QosSpecs

KEYS: Final = tuple(f"{what}_{unit}_sec" for what in ("read", "write", "total") for unit in ("bytes", "iops"))
"""Each also with `_max` (so many at once after a rest) and `_per_gb` (for each GiB, with `_per_gb_min` at least)."""


def limits_of(specs: QosSpecs, gibibytes: int) -> dict[str, tuple[float, float]]:
    """By key, how many a second and how many at once. What is no number above 0 is no limit."""
    found: dict[str, tuple[float, float]] = {}
    for key in KEYS:
        rate = _rate(specs.specs, key, gibibytes)
        if rate is not None:
            found[key] = rate, max(_number(specs.specs.get(f"{key}_max")) or 0.0, rate)
    return found


def _rate(specs: Mapping[str, str], key: str, gibibytes: int) -> float | None:
    per_gib = _number(specs.get(f"{key}_per_gb"))
    if per_gib is not None:
        return max(per_gib * gibibytes, _number(specs.get(f"{key}_per_gb_min")) or 0.0)
    return _number(specs.get(key))


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 < found < 1e18 else None
