"""QoS rules: the same for each kind, below their policy and by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.qos import (
    BANDWIDTH_LIMIT,
    DSCP_MARKING,
    MINIMUM_BANDWIDTH,
    MINIMUM_PACKET_RATE,
    PACKET_RATE_LIMIT,
    QosRule,
)
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.below import Below
from compute_plugin.networks.v2.frame.collection import Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import one_of, whole
from compute_plugin.networks.v2.frame.sights import touch
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.qos.qos_policies import QosPolicies
from compute_plugin.networks.v2.qos.qos_rows import PARAMETERS, values_of

MOST: Final = (1 << 31) - 1
DIRECTIONS: Final = ("egress", "ingress")
ANY: Final = "any"
MARKS: Final = (0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56)
_AMOUNT: Final = whole(0, MOST)


def _mark(value: Any) -> int:
    found: int = one_of(MARKS)(whole(0, MARKS[-1])(value))
    return found


_SAID: Final[Mapping[str, Attribute]] = {
    "max_kbps": Attribute("max_kbps", _AMOUNT, default=REQUIRED),
    "max_burst_kbps": Attribute("max_burst_kbps", _AMOUNT, default=0),
    "min_kbps": Attribute("min_kbps", _AMOUNT, default=REQUIRED),
    "max_kpps": Attribute("max_kpps", _AMOUNT, default=REQUIRED),
    "max_burst_kpps": Attribute("max_burst_kpps", _AMOUNT, default=0),
    "min_kpps": Attribute("min_kpps", _AMOUNT, default=REQUIRED),
    "dscp_mark": Attribute("dscp_mark", _mark, default=REQUIRED),
    "direction": Attribute("direction", one_of(DIRECTIONS), default="egress"),
}
_EITHER_OR_BOTH: Final = Attribute("direction", one_of((*DIRECTIONS, ANY)), default="egress")


def _attributes(kind: str) -> tuple[Attribute, ...]:
    said = {name: _SAID[name] for name in PARAMETERS[kind]}
    if kind == MINIMUM_PACKET_RATE:
        said["direction"] = _EITHER_OR_BOTH
    return (*said.values(), *shown("id", "qos_policy_id"))


class QosRules(Below[QosRule]):
    """`/qos/policies/<id>/<kind>_rules`."""

    above = QosPolicies()
    above_index = "policy"
    rule_kind: ClassVar[str]

    def table(self, records: Records) -> Table[QosRule]:
        return records.qos_rules

    def above_id(self, record: QosRule) -> str:
        return record.policy_id

    def belongs(self, record: QosRule) -> bool:
        return record.kind == self.rule_kind

    def show(self, view: View, record: QosRule) -> Row:
        return {"id": record.id, "qos_policy_id": record.policy_id, **values_of(record)}

    def create(self, change: Change, project: str, asked: Row) -> QosRule:
        policy = change.records.qos_policies.require(change.parent_id)
        fields = fresh_fields(change, policy.project_id, asked)
        return _put(change, QosRule(**fields, policy_id=policy.id, kind=self.rule_kind, **asked))

    def update(self, change: Change, record: QosRule, asked: Row) -> QosRule:
        return _put(change, replace(record, **asked))

    def delete(self, change: Change, record: QosRule) -> None:
        super().delete(change, record)
        touch(change, change.records.qos_policies, record.policy_id)


class BandwidthLimits(QosRules):
    rule_kind = BANDWIDTH_LIMIT
    singular = "bandwidth_limit_rule"
    ruled_as = "policy_bandwidth_limit_rule"
    plural = "bandwidth_limit_rules"
    path = "/qos/policies/{parent_id}/bandwidth_limit_rules"
    attributes = _attributes(BANDWIDTH_LIMIT)


class DscpMarkings(QosRules):
    rule_kind = DSCP_MARKING
    singular = "dscp_marking_rule"
    ruled_as = "policy_dscp_marking_rule"
    plural = "dscp_marking_rules"
    path = "/qos/policies/{parent_id}/dscp_marking_rules"
    attributes = _attributes(DSCP_MARKING)


class MinimumBandwidths(QosRules):
    rule_kind = MINIMUM_BANDWIDTH
    singular = "minimum_bandwidth_rule"
    ruled_as = "policy_minimum_bandwidth_rule"
    plural = "minimum_bandwidth_rules"
    path = "/qos/policies/{parent_id}/minimum_bandwidth_rules"
    attributes = _attributes(MINIMUM_BANDWIDTH)


class MinimumPacketRates(QosRules):
    rule_kind = MINIMUM_PACKET_RATE
    singular = "minimum_packet_rate_rule"
    ruled_as = "policy_minimum_packet_rate_rule"
    plural = "minimum_packet_rate_rules"
    path = "/qos/policies/{parent_id}/minimum_packet_rate_rules"
    attributes = _attributes(MINIMUM_PACKET_RATE)


class PacketRateLimits(QosRules):
    rule_kind = PACKET_RATE_LIMIT
    singular = "packet_rate_limit_rule"
    ruled_as = "policy_packet_rate_limit_rule"
    plural = "packet_rate_limit_rules"
    path = "/qos/policies/{parent_id}/packet_rate_limit_rules"
    attributes = _attributes(PACKET_RATE_LIMIT)


# -- by themselves: the path does not say which policy --------------------------------------------------------------


class _ByItself(QosRules):
    def find(self, view: View, id_: str) -> QosRule:
        record = view.records.qos_rules.require(id_)
        if not self.belongs(record):
            raise view.records.qos_rules.missing(id_)
        return record


class BandwidthLimitAliases(_ByItself):
    rule_kind = BANDWIDTH_LIMIT
    singular = "alias_bandwidth_limit_rule"
    plural = "alias_bandwidth_limit_rules"
    path = "/qos/alias_bandwidth_limit_rules"
    attributes = _attributes(BANDWIDTH_LIMIT)


class DscpMarkingAliases(_ByItself):
    rule_kind = DSCP_MARKING
    singular = "alias_dscp_marking_rule"
    plural = "alias_dscp_marking_rules"
    path = "/qos/alias_dscp_marking_rules"
    attributes = _attributes(DSCP_MARKING)


class MinimumBandwidthAliases(_ByItself):
    rule_kind = MINIMUM_BANDWIDTH
    singular = "alias_minimum_bandwidth_rule"
    plural = "alias_minimum_bandwidth_rules"
    path = "/qos/alias_minimum_bandwidth_rules"
    attributes = _attributes(MINIMUM_BANDWIDTH)


class MinimumPacketRateAliases(_ByItself):
    rule_kind = MINIMUM_PACKET_RATE
    singular = "alias_minimum_packet_rate_rule"
    plural = "alias_minimum_packet_rate_rules"
    path = "/qos/alias_minimum_packet_rate_rules"
    attributes = _attributes(MINIMUM_PACKET_RATE)


# -- what rules say together -----------------------------------------------------------------------------------------


def _put(change: Change, rule: QosRule) -> QosRule:
    """Raises InUseError where the policy would contradict itself."""
    for other in change.records.qos_rules.by("policy", rule.policy_id):
        if other.id != rule.id:
            _require_agreement(rule, other)
    touch(change, change.records.qos_policies, rule.policy_id)
    return change.put(change.records.qos_rules, rule)


def _require_agreement(rule: QosRule, other: QosRule) -> None:
    if (rule.kind, rule.direction) == (other.kind, other.direction):
        raise InUseError(
            "QoSRulesConflict",
            f"Rule {rule.kind} conflicts with rule {other.id} which already exists in QoS Policy {rule.policy_id}.",
        )
    if rule.kind == other.kind == MINIMUM_PACKET_RATE and ANY in (rule.direction, other.direction):
        raise _conflict(rule, rule.direction, other, other.direction)
    for least, most, low, high in (
        (MINIMUM_BANDWIDTH, BANDWIDTH_LIMIT, "min_kbps", "max_kbps"),
        (MINIMUM_PACKET_RATE, PACKET_RATE_LIMIT, "min_kpps", "max_kpps"),
    ):
        by_kind = {rule.kind: values_of(rule), other.kind: values_of(other)}
        meet = rule.direction == other.direction or ANY in (rule.direction, other.direction)
        if meet and {least, most} == by_kind.keys() and by_kind[least][low] > by_kind[most][high]:
            named = {least: low, most: high}
            raise _conflict(rule, by_kind[rule.kind][named[rule.kind]], other, by_kind[other.kind][named[other.kind]])


def _conflict(rule: QosRule, value: object, other: QosRule, held: object) -> InUseError:
    return InUseError(
        "QoSRuleParameterConflict",
        f"Unable to add the rule with value {value} to the policy {rule.policy_id} as the existing rule of type "
        f"{other.kind} has value {held}.",
    )
