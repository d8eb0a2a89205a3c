"""`Records`: all of what networks are to be, in memory. Pure.

network/<kind>/<id>     a record
"""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.records.agent import AGENT_SETTINGS_CODEC, AgentSettings
from compute_plugin.networks.records.flavor import FLAVOR_CODEC, SERVICE_PROFILE_CODEC, Flavor, ServiceProfile
from compute_plugin.networks.records.network import (
    ADDRESS_SCOPE_CODEC,
    NETWORK_CODEC,
    SUBNET_CODEC,
    SUBNETPOOL_CODEC,
    AddressScope,
    Network,
    Subnet,
    SubnetPool,
)
from compute_plugin.networks.records.port import PORT_CODEC, Port
from compute_plugin.networks.records.qos import QOS_POLICY_CODEC, QOS_RULE_CODEC, QosPolicy, QosRule
from compute_plugin.networks.records.router import (
    CONNTRACK_HELPER_CODEC,
    FLOATING_IP_CODEC,
    PORT_FORWARDING_CODEC,
    ROUTER_CODEC,
    ConntrackHelper,
    FloatingIp,
    PortForwarding,
    Router,
)
from compute_plugin.networks.records.security import (
    ADDRESS_GROUP_CODEC,
    DEFAULT_RULE_CODEC,
    RULE_CODEC,
    SECURITY_GROUP_CODEC,
    AddressGroup,
    DefaultRule,
    SecurityGroup,
    SecurityGroupRule,
)
from compute_plugin.networks.records.segment import SEGMENT_NOTE_CODEC, SegmentNote
from compute_plugin.networks.records.sharing import QUOTA_CODEC, RBAC_CODEC, Quota, RbacPolicy
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.records.trunk import TRUNK_CODEC, Trunk
from compute_plugin.tables.table import Kind
from compute_plugin.tables.tables import Tables

NETWORKS: Final = Kind(
    "network",
    NETWORK_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "segment": lambda one: ((one.network_type, one.physical_network, one.segmentation_id),),
        "qos": lambda one: (one.qos_policy_id,) if one.qos_policy_id else (),
    },
    "NetworkNotFound",
    "Network",
)
SUBNETS: Final = Kind(
    "subnet",
    SUBNET_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "network": lambda one: (one.network_id,),
        "pool": lambda one: (one.subnetpool_id,),
    },
    "SubnetNotFound",
    "Subnet",
)
PORTS: Final = Kind(
    "port",
    PORT_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "network": lambda one: (one.network_id,),
        "device": lambda one: (one.device_id,),
        "owner": lambda one: (one.device_owner,),
        "host": lambda one: (one.host,),
        "mac": lambda one: ((one.network_id, one.mac),),
        "group": lambda one: one.security_group_ids,
        "subnet": lambda one: (fixed.subnet_id for fixed in one.fixed_ips),
        "address": lambda one: one.fixed_ips,  # FixedIp: (subnet_id, address)
        "qos": lambda one: (one.qos_policy_id,) if one.qos_policy_id else (),
    },
    "PortNotFound",
    "Port",
)
SECURITY_GROUPS: Final = Kind(
    "security-group",
    SECURITY_GROUP_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "default": lambda one: (one.project_id,) if one.is_default else (),
    },
    "SecurityGroupNotFound",
    "Security group",
)
RULES: Final = Kind(
    "security-group-rule",
    RULE_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "group": lambda one: (one.security_group_id,),
        "remote": lambda one: (one.remote_group_id,),
        "addresses": lambda one: (one.remote_address_group_id,),
    },
    "SecurityGroupRuleNotFound",
    "Security group rule",
)
DEFAULT_RULES: Final = Kind(
    "default-rule", DEFAULT_RULE_CODEC, {}, "DefaultSecurityGroupRuleNotFound", "Default security group rule"
)
ADDRESS_GROUPS: Final = Kind(
    "address-group",
    ADDRESS_GROUP_CODEC,
    {"project": lambda one: (one.project_id,)},
    "AddressGroupNotFound",
    "Address group",
)
ROUTERS: Final = Kind(
    "router",
    ROUTER_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "gateway": lambda one: (one.gateway_network_id,),
        "flavor": lambda one: (one.flavor_id,) if one.flavor_id else (),
        "qos": lambda one: (one.qos_policy_id,) if one.qos_policy_id else (),
    },
    "RouterNotFound",
    "Router",
)
FLOATING_IPS: Final = Kind(
    "floating-ip",
    FLOATING_IP_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "network": lambda one: (one.network_id,),
        "port": lambda one: (one.port_id,),
        "router": lambda one: (one.router_id,),
        "qos": lambda one: (one.qos_policy_id,) if one.qos_policy_id else (),
    },
    "FloatingIPNotFound",
    "Floating IP",
)
PORT_FORWARDINGS: Final = Kind(
    "port-forwarding",
    PORT_FORWARDING_CODEC,
    {"floating_ip": lambda one: (one.floating_ip_id,), "port": lambda one: (one.internal_port_id,)},
    "PortForwardingNotFound",
    "Port Forwarding",
)
SUBNETPOOLS: Final = Kind(
    "subnetpool",
    SUBNETPOOL_CODEC,
    {"project": lambda one: (one.project_id,), "scope": lambda one: (one.address_scope_id,)},
    "SubnetPoolNotFound",
    "Subnet pool",
)
ADDRESS_SCOPES: Final = Kind(
    "address-scope",
    ADDRESS_SCOPE_CODEC,
    {"project": lambda one: (one.project_id,)},
    "AddressScopeNotFound",
    "Address scope",
)
RBAC_POLICIES: Final = Kind(
    "rbac-policy",
    RBAC_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "object": lambda one: (one.object_id,),
        "let": lambda one: ((one.object_id, one.action, one.target_project),),
    },
    "RbacPolicyNotFound",
    "RBAC policy",
)
QUOTAS: Final = Kind("quota", QUOTA_CODEC)
AGENT_SETTINGS: Final = Kind("agent-settings", AGENT_SETTINGS_CODEC, {}, "AgentNotFound", "Agent")
CONNTRACK_HELPERS: Final = Kind(
    "conntrack-helper",
    CONNTRACK_HELPER_CODEC,
    {"router": lambda one: (one.router_id,)},
    "ConntrackHelperNotFound",
    "Conntrack Helper",
)
QOS_POLICIES: Final = Kind(
    "qos-policy", QOS_POLICY_CODEC, {"project": lambda one: (one.project_id,)}, "QosPolicyNotFound", "QoS policy"
)
QOS_RULES: Final = Kind(
    "qos-rule", QOS_RULE_CODEC, {"policy": lambda one: (one.policy_id,)}, "QosRuleNotFound", "QoS rule"
)
TRUNKS: Final = Kind(
    "trunk",
    TRUNK_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "port": lambda one: (one.port_id,),
        "sub_port": lambda one: (sub.port_id for sub in one.sub_ports),
    },
    "TrunkNotFound",
    "Trunk",
)
FLAVORS: Final = Kind("flavor", FLAVOR_CODEC, {}, "FlavorNotFound", "Flavor")
SERVICE_PROFILES: Final = Kind(
    "service-profile", SERVICE_PROFILE_CODEC, {}, "ServiceProfileNotFound", "Service Profile"
)
SEGMENT_NOTES: Final = Kind("segment", SEGMENT_NOTE_CODEC, {}, "SegmentNotFound", "Segment")


class Records(Tables):
    """All tables. One over another (`below`) is what a change sees: its own writes, and nobody else does."""

    prefix = b"network/"

    def __init__(self, below: Records | None = None) -> None:
        under = {table.kind.name: table for table in below.tables()} if below is not None else {}

        def lie(kind: Kind[Any]) -> Table[Any]:
            return Table(kind, under.get(kind.name))

        self.networks: Table[Network] = lie(NETWORKS)
        self.subnets: Table[Subnet] = lie(SUBNETS)
        self.ports: Table[Port] = lie(PORTS)
        self.security_groups: Table[SecurityGroup] = Table(
            SECURITY_GROUPS, below.security_groups if below is not None else None
        )
        self.rules: Table[SecurityGroupRule] = lie(RULES)
        self.default_rules: Table[DefaultRule] = Table(
            DEFAULT_RULES, below.default_rules if below is not None else None
        )
        self.address_groups: Table[AddressGroup] = Table(
            ADDRESS_GROUPS, below.address_groups if below is not None else None
        )
        self.routers: Table[Router] = lie(ROUTERS)
        self.floating_ips: Table[FloatingIp] = lie(FLOATING_IPS)
        self.port_forwardings: Table[PortForwarding] = Table(
            PORT_FORWARDINGS, below.port_forwardings if below is not None else None
        )
        self.subnetpools: Table[SubnetPool] = lie(SUBNETPOOLS)
        self.address_scopes: Table[AddressScope] = Table(
            ADDRESS_SCOPES, below.address_scopes if below is not None else None
        )
        self.rbac_policies: Table[RbacPolicy] = lie(RBAC_POLICIES)
        self.quotas: Table[Quota] = lie(QUOTAS)
        self.agent_settings: Table[AgentSettings] = lie(AGENT_SETTINGS)
        self.conntrack_helpers: Table[ConntrackHelper] = lie(CONNTRACK_HELPERS)
        self.qos_policies: Table[QosPolicy] = lie(QOS_POLICIES)
        self.qos_rules: Table[QosRule] = lie(QOS_RULES)
        self.trunks: Table[Trunk] = lie(TRUNKS)
        self.flavors: Table[Flavor] = lie(FLAVORS)
        self.service_profiles: Table[ServiceProfile] = lie(SERVICE_PROFILES)
        self.segment_notes: Table[SegmentNote] = lie(SEGMENT_NOTES)
