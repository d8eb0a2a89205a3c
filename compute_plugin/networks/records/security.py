"""Security groups: what may pass to and from ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec

DEFAULT_GROUP: Final = "default"
"""The name of the group that each project has."""
INGRESS: Final = "ingress"
EGRESS: Final = "egress"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup(Standard):
    """What its rules do not let through is dropped."""

    stateful: bool = True
    """Whether answers pass by themselves."""
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRule(Standard):
    """Lets packets through. What is None does not matter."""

    security_group_id: str
    direction: str
    """INGRESS: to the port, or EGRESS."""
    ethertype: str
    """`IPv4` or `IPv6`."""
    protocol: str | None = None
    """A name as Neutron knows it, or a number from 0 to 255 as a text."""
    port_min: int | None = None
    """The type, where the protocol is ICMP."""
    port_max: int | None = None
    """The code, where the protocol is ICMP."""
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    """The addresses of all ports that have the group."""
    remote_address_group_id: str | None = None
    belongs_to_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRule(Standard):
    """A rule that new groups begin with."""

    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    """A group's id, or `PARENT` for the group that the rule is made in."""
    remote_address_group_id: str | None = None
    used_in_default: bool = False
    """In groups called `default`."""
    used_in_others: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressGroup(Standard):
    """Prefixes that rules name together."""

    addresses: tuple[str, ...] = ()


SECURITY_GROUP_CODEC: Final = record_codec("security group", SecurityGroup)
RULE_CODEC: Final = record_codec("security group rule", SecurityGroupRule)
DEFAULT_RULE_CODEC: Final = record_codec("default security group rule", DefaultRule)
ADDRESS_GROUP_CODEC: Final = record_codec("address group", AddressGroup)
