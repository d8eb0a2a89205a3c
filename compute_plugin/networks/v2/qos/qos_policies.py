"""QoS policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.qos import QosPolicy
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.qos.qos_rows import rule_row
from compute_plugin.networks.v2.sharing.shares import for_everybody, forget_shares, share

OBJECT: Final = "qos_policy"
"""In RBAC policies."""


class QosPolicies(Collection[QosPolicy]):
    """`/qos/policies`."""

    singular = "policy"
    plural = "policies"
    path = "/qos/policies"
    tagged = True
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("shared", flag, default=False),
        Attribute("is_default", flag, default=False),
        *shown("id", "rules", "tags", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[QosPolicy]:
        return records.qos_policies

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: QosPolicy) -> Row:
        return {**super().target(view, record), "shared": view.is_open(record.id)}

    def show(self, view: View, record: QosPolicy) -> Row:
        return {
            **standard_row(record),
            "shared": view.is_open(record.id),
            "is_default": record.is_default,
            "rules": [rule_row(one) for one in view.records.qos_rules.by("policy", record.id)],
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> QosPolicy:
        shared = asked.pop("shared")
        policy = change.put(change.records.qos_policies, QosPolicy(**fresh_fields(change, project, asked), **asked))
        _require_sole_default(change, policy)
        if shared:
            share(change, policy, OBJECT)
        return policy

    def update(self, change: Change, record: QosPolicy, asked: Row) -> QosPolicy:
        shared = asked.pop("shared", None)
        if shared:
            share(change, record, OBJECT)
        if shared is False:
            _unshare(change, record)
        after = change.put(change.records.qos_policies, replace(record, **asked))
        _require_sole_default(change, after)
        return after

    def delete(self, change: Change, record: QosPolicy) -> None:
        for name, user in _users(change.records, record.id):
            raise InUseError("QosPolicyInUse", f"QoS Policy {record.id} is used by {name} {user.id}.")
        for rule in change.records.qos_rules.by("policy", record.id):
            change.records.qos_rules.delete(rule.id)
        forget_shares(change, record.id)
        change.records.qos_policies.delete(record.id)


def _users(records: Records, id_: str) -> list[tuple[str, Any]]:
    """What it holds for."""
    tables: tuple[tuple[str, Table[Any]], ...] = (
        ("network", records.networks),
        ("port", records.ports),
        ("router", records.routers),
        ("floatingip", records.floating_ips),
    )
    return [(name, one) for name, table in tables for one in table.by("qos", id_)]


def _unshare(change: Change, policy: QosPolicy) -> None:
    held = for_everybody(change.records, policy.id)
    let = {one.target_project for one in change.records.rbac_policies.by("object", policy.id)}
    let |= {policy.project_id, ""}
    if held and any(user.project_id not in let for _, user in _users(change.records, policy.id)):
        raise InUseError(
            "RbacPolicyInUse",
            f"RBAC policy on object {policy.id} cannot be removed because other objects depend on it.",
        )
    for one in held:
        change.records.rbac_policies.delete(one.id)


def _require_sole_default(change: Change, policy: QosPolicy) -> None:
    if not policy.is_default:
        return
    for other in change.records.qos_policies.by("project", policy.project_id):
        if other.is_default and other.id != policy.id:
            raise InUseError(
                "QoSPolicyDefaultAlreadyExists", f"A default QoS policy exists for project {policy.project_id}."
            )
