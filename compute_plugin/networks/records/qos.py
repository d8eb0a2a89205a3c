"""Quality of service: how much ports, networks, floating addresses and gateways may send and receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec

BANDWIDTH_LIMIT: Final = "bandwidth_limit"
DSCP_MARKING: Final = "dscp_marking"
MINIMUM_BANDWIDTH: Final = "minimum_bandwidth"
MINIMUM_PACKET_RATE: Final = "minimum_packet_rate"
PACKET_RATE_LIMIT: Final = "packet_rate_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class QosPolicy(Standard):
    """What its rules say together. Who else may use it is said by RBAC policies."""

    is_default: bool = False
    """Whether new networks of the project have it that say nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QosRule(Standard):
    """Of a policy. What is None is said by rules of another kind."""

    policy_id: str
    kind: str
    """BANDWIDTH_LIMIT and so on."""
    direction: str | None = None
    """`egress`: what the server sends, `ingress`, or `any` for both together."""
    max_kbps: int | None = None
    max_burst_kbps: int | None = None
    min_kbps: int | None = None
    max_kpps: int | None = None
    max_burst_kpps: int | None = None
    min_kpps: int | None = None
    dscp_mark: int | None = None


QOS_POLICY_CODEC: Final = record_codec("QoS policy", QosPolicy)
QOS_RULE_CODEC: Final = record_codec("QoS rule", QosRule)
