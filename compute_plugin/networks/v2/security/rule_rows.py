"""How a security group rule is shown, alone and in its group."""

from __future__ import annotations

import ipaddress

from compute_plugin.networks.records.security import SecurityGroupRule
from compute_plugin.networks.v2.frame.collection import Row, standard_row
from compute_plugin.networks.v2.security.rule_values import shown_values


def rule_row(rule: SecurityGroupRule) -> Row:
    """Everything about it."""
    prefix = rule.remote_ip_prefix
    return {
        **standard_row(rule, named=False),
        **shown_values(rule),
        "security_group_id": rule.security_group_id,
        "normalized_cidr": str(ipaddress.ip_interface(prefix).network) if prefix is not None else None,
        "belongs_to_default_sg": rule.belongs_to_default,
    }
