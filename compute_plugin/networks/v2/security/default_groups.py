"""The group `default` that every project has from the first look on, and the rules that new groups begin with."""

from __future__ import annotations

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import DEFAULT_GROUP, SecurityGroup, SecurityGroupRule
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.security.stock_rules import PARENT, held_rules


def default_group(records: Records, project: str) -> SecurityGroup | None:
    """A project's; None as long as nobody looked."""
    found = records.security_groups.by("default", project)
    return found[0] if found else None


def ensure_default_group(change: Change, project: str) -> SecurityGroup:
    """A project's, which is made if it is not there. Quotas do not keep it away: ports need it."""
    found = default_group(change.records, project)
    if found is not None:
        return found
    group = SecurityGroup(
        id=change.new_id(),
        project_id=project,
        name=DEFAULT_GROUP,
        description="Default security group",
        is_default=True,
    )
    made = change.put(change.records.security_groups, group)
    for rule in first_rules(change, made):
        change.put(change.records.rules, rule)
    return made


def first_rules(change: Change, group: SecurityGroup) -> list[SecurityGroupRule]:
    """What a new group begins with."""
    return [
        SecurityGroupRule(
            id=change.new_id(),
            project_id=group.project_id,
            security_group_id=group.id,
            direction=one.direction,
            ethertype=one.ethertype,
            protocol=one.protocol,
            port_min=one.port_min,
            port_max=one.port_max,
            remote_ip_prefix=one.remote_ip_prefix,
            remote_group_id=group.id if one.remote_group_id == PARENT else one.remote_group_id,
            remote_address_group_id=one.remote_address_group_id,
            belongs_to_default=group.is_default,
        )
        for one in held_rules(change.records)
        if (one.used_in_default if group.is_default else one.used_in_others)
    ]
