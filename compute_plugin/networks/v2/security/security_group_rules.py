"""Rules of security groups."""

from __future__ import annotations

from typing import ClassVar

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import SecurityGroupRule
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import text
from compute_plugin.networks.v2.frame.sights import seen, touch
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.security.address_groups import AddressGroups
from compute_plugin.networks.v2.security.rule_rows import rule_row
from compute_plugin.networks.v2.security.rule_values import VALUES, checked, meaning
from compute_plugin.networks.v2.security.security_groups import SecurityGroups, drop_rule


class SecurityGroupRules(Collection[SecurityGroupRule]):
    """`/security-group-rules`. Who has the group has its rules, whoever made them."""

    singular = "security_group_rule"
    plural = "security_group_rules"
    path = "/security-group-rules"
    quota = "security_group_rule"
    changeable = False
    narrowing: ClassVar = {
        "security_group_id": "group",
        "remote_group_id": "remote",
        "project_id": "project",
        "tenant_id": "project",
    }
    attributes = (
        Attribute("security_group_id", text(36), update=False, default=REQUIRED),
        *VALUES,
        *OWNED,
        *shown("id", "normalized_cidr", "belongs_to_default_sg", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[SecurityGroupRule]:
        return records.rules

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: SecurityGroupRule) -> Row:
        group = view.records.security_groups.get(record.security_group_id)
        return {**super().target(view, record), "security_group:project_id": group.project_id if group else ""}

    def show(self, view: View, record: SecurityGroupRule) -> Row:
        return rule_row(record)

    # -- changing ------------------------------------------------------------------------------------------------

    def create_target(self, change: Change, project: str, asked: Row) -> Row:
        group = seen(SecurityGroups(), change, asked["security_group_id"])
        return {**super().create_target(change, project, asked), "security_group:project_id": group.project_id}

    def create(self, change: Change, project: str, asked: Row) -> SecurityGroupRule:
        values = checked(asked)
        group = change.records.security_groups.require(asked["security_group_id"])
        require_remotes(change, values)
        rule = SecurityGroupRule(
            **fresh_fields(change, project, asked),
            **values,
            security_group_id=group.id,
            belongs_to_default=group.is_default,
        )
        for other in change.records.rules.by("group", group.id):
            if meaning(other) == meaning(rule):
                raise InUseError(
                    "SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {other.id}."
                )
        touch(change, change.records.security_groups, group.id)
        return change.put(change.records.rules, rule)

    def delete(self, change: Change, record: SecurityGroupRule) -> None:
        drop_rule(change, record)


def require_remotes(view: View, values: Row) -> None:
    """What a rule names has to be there, and the caller to see it. Raises MissingError."""
    if values["remote_group_id"] is not None:
        seen(SecurityGroups(), view, values["remote_group_id"])
    if values["remote_address_group_id"] is not None:
        seen(AddressGroups(), view, values["remote_address_group_id"])
