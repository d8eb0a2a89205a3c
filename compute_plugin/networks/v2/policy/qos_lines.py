"""Who may do what with QoS policies and RBAC policies."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.v2.policy.checks import (
    ADMIN,
    ANYBODY,
    MANAGER,
    MEMBER,
    PARENT_MANAGER,
    PARENT_READER,
    READER,
)

QOS_LINES: Final = {
    MANAGER: (
        "create_policy",
        "create_policy:tags",
        "update_policy",
        "update_policy:tags",
        "delete_policy",
        "delete_policy:tags",
    ),
    f"{READER} or rule:shared": ("get_policy", "get_policy:tags"),
    ANYBODY: ("get_rule_type",),
    PARENT_READER: (
        "get_policy_bandwidth_limit_rule",
        "get_policy_packet_rate_limit_rule",
        "get_policy_dscp_marking_rule",
        "get_policy_minimum_bandwidth_rule",
        "get_policy_minimum_packet_rate_rule",
        "get_alias_bandwidth_limit_rule",
        "get_alias_dscp_marking_rule",
        "get_alias_minimum_bandwidth_rule",
        "get_alias_minimum_packet_rate_rule",
    ),
    PARENT_MANAGER: (
        "create_policy_bandwidth_limit_rule",
        "update_policy_bandwidth_limit_rule",
        "delete_policy_bandwidth_limit_rule",
        "create_policy_packet_rate_limit_rule",
        "update_policy_packet_rate_limit_rule",
        "delete_policy_packet_rate_limit_rule",
        "create_policy_dscp_marking_rule",
        "update_policy_dscp_marking_rule",
        "delete_policy_dscp_marking_rule",
        "create_policy_minimum_bandwidth_rule",
        "update_policy_minimum_bandwidth_rule",
        "delete_policy_minimum_bandwidth_rule",
        "create_policy_minimum_packet_rate_rule",
        "update_policy_minimum_packet_rate_rule",
        "delete_policy_minimum_packet_rate_rule",
        "update_alias_bandwidth_limit_rule",
        "delete_alias_bandwidth_limit_rule",
        "update_alias_dscp_marking_rule",
        "delete_alias_dscp_marking_rule",
        "update_alias_minimum_bandwidth_rule",
        "delete_alias_minimum_bandwidth_rule",
        "update_alias_minimum_packet_rate_rule",
        "delete_alias_minimum_packet_rate_rule",
    ),
}

NOT_EVERYBODY: Final = f"{ADMIN} or not '*':%(rbac_target)s"
"""Only administrators let everybody use something."""

RBAC_LINES: Final = {
    MEMBER: ("create_rbac_policy", "update_rbac_policy", "delete_rbac_policy"),
    NOT_EVERYBODY: (
        "create_rbac_policy:target_tenant",
        "create_rbac_policy:target_project",
        "update_rbac_policy:target_tenant",
        "update_rbac_policy:target_project",
    ),
    READER: ("get_rbac_policy",),
}
