"""Security groups."""

from __future__ import annotations

from typing import ClassVar

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import DEFAULT_GROUP, SecurityGroup, SecurityGroupRule
from compute_plugin.networks.records.store import ROOM
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, OWNED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag, text
from compute_plugin.networks.v2.frame.sights import touch
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.security.default_groups import ensure_default_group, first_rules
from compute_plugin.networks.v2.security.rule_rows import rule_row


class SecurityGroups(Collection[SecurityGroup]):
    """`/security-groups`."""

    singular = "security_group"
    plural = "security_groups"
    path = "/security-groups"
    quota = "security_group"
    tagged = True
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        Attribute("name", text(), default=""),
        *DESCRIBED,
        *OWNED,
        Attribute("stateful", flag, default=True),
        *shown("id", "security_group_rules", "shared", "tags", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[SecurityGroup]:
        return records.security_groups

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: SecurityGroup) -> Row:
        return {**super().target(view, record), "shared": view.is_open(record.id)}

    def show(self, view: View, record: SecurityGroup) -> Row:
        return {
            **standard_row(record),
            "stateful": record.stateful,
            "shared": view.is_open(record.id),
            "security_group_rules": [rule_row(one) for one in view.records.rules.by("group", record.id)],
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> SecurityGroup:
        _refuse_default_name(asked)
        ensure_default_group(change, project)
        fields = fresh_fields(change, project, asked)
        group = change.put(change.records.security_groups, SecurityGroup(**fields, **asked))
        for rule in first_rules(change, group):
            change.count("security_group_rule", change.records.rules, project)
            change.put(change.records.rules, rule)
        return group

    def update(self, change: Change, record: SecurityGroup, asked: Row) -> SecurityGroup:
        if "name" in asked and record.is_default:
            raise InUseError("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
        _refuse_default_name(asked)
        if asked.get("stateful", record.stateful) != record.stateful:
            _require_unused(change, record)
        return super().update(change, record, asked)

    def thin_out(self, change: Change, record: SecurityGroup) -> bool:
        """Each rule may be in a group of its own, which is another one then."""
        require_deletable(change, record)
        rules = rules_around(change.records, record)
        for rule in rules[: ROOM // 2] if len(rules) > ROOM // 2 else ():
            drop_rule(change, rule)
        return len(rules) > ROOM // 2

    def delete(self, change: Change, record: SecurityGroup) -> None:
        require_deletable(change, record)
        records = change.records
        for rule in rules_around(records, record):
            drop_rule(change, rule)
        for template in [one for one in records.default_rules if one.remote_group_id == record.id]:
            records.default_rules.delete(template.id)
        for policy in records.rbac_policies.by("object", record.id):
            records.rbac_policies.delete(policy.id)
        records.security_groups.delete(record.id)


def require_deletable(change: Change, group: SecurityGroup) -> None:
    """Raises InUseError."""
    _require_unused(change, group)
    if group.is_default and not change.is_admin:
        raise InUseError("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")


def rules_around(records: Records, group: SecurityGroup) -> list[SecurityGroupRule]:
    """Those of the group, and those that name it."""
    found = [*records.rules.by("group", group.id), *records.rules.by("remote", group.id)]
    return list({one.id: one for one in found}.values())


def drop_rule(change: Change, rule: SecurityGroupRule) -> None:
    """A rule is gone, and its group another one."""
    change.records.rules.delete(rule.id)
    touch(change, change.records.security_groups, rule.security_group_id)


def _refuse_default_name(asked: Row) -> None:
    if asked.get("name", "").lower() == DEFAULT_GROUP:
        raise InUseError("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")


def _require_unused(change: Change, group: SecurityGroup) -> None:
    if change.records.ports.has("group", group.id):
        raise InUseError("SecurityGroupInUse", f"Security Group {group.id} in use.")
