"""Rules that new security groups begin with, for administrators to change."""

from __future__ import annotations

from collections.abc import Iterable

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import DefaultRule
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import OWNED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import flag
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.security.rule_values import VALUES, checked, meaning, shown_values
from compute_plugin.networks.v2.security.security_group_rules import require_remotes
from compute_plugin.networks.v2.security.stock_rules import PARENT, STOCK, gone, held_rule, held_rules


class DefaultRules(Collection[DefaultRule]):
    """`/default-security-group-rules`."""

    singular = "default_security_group_rule"
    plural = "default_security_group_rules"
    path = "/default-security-group-rules"
    changeable = False
    attributes = (
        *VALUES,
        *OWNED,
        Attribute("used_in_default_sg", flag, update=False, default=False),
        Attribute("used_in_non_default_sg", flag, update=False, default=True),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[DefaultRule]:
        return records.default_rules

    # -- seeing --------------------------------------------------------------------------------------------------

    def rows(self, view: View) -> Iterable[DefaultRule]:
        return held_rules(view.records)

    def find(self, view: View, id_: str) -> DefaultRule:
        found = held_rule(view.records, id_)
        if found is None:
            raise view.records.default_rules.missing(id_)
        return found

    def show(self, view: View, record: DefaultRule) -> Row:
        return {
            "id": record.id,
            "description": record.description,
            **shown_values(record),
            "used_in_default_sg": record.used_in_default,
            "used_in_non_default_sg": record.used_in_others,
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> DefaultRule:
        values = checked(asked)
        if values["remote_group_id"] != PARENT:
            require_remotes(change, values)
        rule = DefaultRule(
            **fresh_fields(change, "", asked),
            **values,
            used_in_default=asked["used_in_default_sg"],
            used_in_others=asked["used_in_non_default_sg"],
        )
        for other in held_rules(change.records):
            if _meet(rule, other) and meaning(rule) == meaning(other):
                raise InUseError(
                    "DefaultSecurityGroupRuleExists",
                    f"Default Security group rule already exists. Rule id is {other.id}.",
                )
        return change.put(change.records.default_rules, rule)

    def delete(self, change: Change, record: DefaultRule) -> None:
        if record.id in STOCK:
            change.put(change.records.default_rules, gone(record))
        else:
            change.records.default_rules.delete(record.id)


def _meet(one: DefaultRule, other: DefaultRule) -> bool:
    """Whether there is a group that begins with both."""
    return (one.used_in_default and other.used_in_default) or (one.used_in_others and other.used_in_others)
