"""How QoS rules are shown, alone and in their policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compute_plugin.networks.records.qos import (
    BANDWIDTH_LIMIT,
    DSCP_MARKING,
    MINIMUM_BANDWIDTH,
    MINIMUM_PACKET_RATE,
    PACKET_RATE_LIMIT,
    QosRule,
)
from compute_plugin.networks.v2.frame.collection import Row

PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    BANDWIDTH_LIMIT: ("max_kbps", "max_burst_kbps", "direction"),
    DSCP_MARKING: ("dscp_mark",),
    MINIMUM_BANDWIDTH: ("min_kbps", "direction"),
    MINIMUM_PACKET_RATE: ("min_kpps", "direction"),
    PACKET_RATE_LIMIT: ("max_kpps", "max_burst_kpps", "direction"),
}
"""What rules of each kind say."""


def values_of(rule: QosRule) -> Row:
    """What it says."""
    held = {
        "max_kbps": rule.max_kbps,
        "max_burst_kbps": rule.max_burst_kbps,
        "min_kbps": rule.min_kbps,
        "max_kpps": rule.max_kpps,
        "max_burst_kpps": rule.max_burst_kpps,
        "min_kpps": rule.min_kpps,
        "dscp_mark": rule.dscp_mark,
        "direction": rule.direction,
    }
    return {name: held[name] for name in PARAMETERS[rule.kind]}


def rule_row(rule: QosRule) -> Row:
    """In its policy."""
    return {"id": rule.id, "qos_policy_id": rule.policy_id, "type": rule.kind, **values_of(rule)}
