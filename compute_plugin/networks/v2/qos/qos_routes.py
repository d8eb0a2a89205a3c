"""Paths of QoS rules that do not say which policy they are of: one by one, and no lists."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.frame.requests import VERSION, Handler, routes_of
from compute_plugin.networks.v2.qos.qos_rules import (
    BandwidthLimitAliases,
    DscpMarkingAliases,
    MinimumBandwidthAliases,
    MinimumPacketRateAliases,
)

ALIASES: Final[tuple[Collection[Any], ...]] = (
    BandwidthLimitAliases(),
    DscpMarkingAliases(),
    MinimumBandwidthAliases(),
    MinimumPacketRateAliases(),
)


def routes() -> dict[str, dict[str, Handler]]:
    """Of each alone."""
    found = {}
    for kind in ALIASES:
        path = f"{VERSION}{kind.path}/{{id}}"
        found[path] = routes_of(kind)[path]
    return found
