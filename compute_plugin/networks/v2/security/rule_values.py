"""What a security group rule says, and whether it fits together: the same for rules and for those of new groups."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Any, Final

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.security import EGRESS, INGRESS, DefaultRule, SecurityGroupRule
from compute_plugin.networks.v2.frame.attributes import REQUIRED, Attribute
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.readers import one_of, or_none, text, uuid
from compute_plugin.networks.v2.security.protocols import ICMPS, NUMBERS, WITH_PORTS, for_ethertype, number_of, protocol

ETHERTYPES: Final = ("IPv4", "IPv6")
PORT_MAX: Final = 65_535
ICMP_MAX: Final = 255
DESCRIPTION_MAX: Final = 255
PORT_NUMBERS: Final = frozenset(NUMBERS[name] for name in WITH_PORTS)
EVERYWHERE: Final = (None, "0.0.0.0/0", "::/0")
REMOTES: Final = ("remote_ip_prefix", "remote_group_id", "remote_address_group_id")


def _ethertype(value: Any) -> str:
    for one in ETHERTYPES:
        if isinstance(value, str) and value.lower() == one.lower():
            return one
    raise BadRequestError(
        "SecurityGroupRuleInvalidEtherType",
        f"Security group rule for ethertype '{str(value)[:255]}' not supported. Allowed values are {list(ETHERTYPES)}.",
    )


def _port(value: Any) -> int | None:
    if value is None:
        return None
    said = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if said.isascii() and said.isdecimal() and len(said) <= 5 and int(said) <= PORT_MAX:
        return int(said)
    raise BadRequestError("SecurityGroupInvalidPortValue", f"Invalid value for port {str(value)[:255]}")


def _remote_prefix(value: Any) -> str | None:
    """An address is a prefix of one; bits behind the prefix stay as they were said."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and "%" not in value:
            return str(ipaddress.ip_interface(value))
    except ValueError:
        pass  # said below
    raise BadRequestError("InvalidCIDR", f"Invalid CIDR {str(value)[:255]} given as IP prefix.")


VALUES: Final = (
    Attribute("direction", one_of((INGRESS, EGRESS)), update=False, default=REQUIRED),
    Attribute("ethertype", _ethertype, update=False, default="IPv4"),
    Attribute("protocol", protocol, update=False, default=None),
    Attribute("port_range_min", _port, update=False, default=None),
    Attribute("port_range_max", _port, update=False, default=None),
    Attribute("remote_ip_prefix", _remote_prefix, update=False, default=None),
    Attribute("remote_group_id", or_none(text(36)), update=False, default=None),
    Attribute("remote_address_group_id", or_none(uuid), update=False, default=None),
    Attribute("description", text(DESCRIPTION_MAX), update=False, default=""),
)


def checked(asked: Row) -> Row:
    """What is stored of what was asked for. Raises BadRequestError where it does not fit together."""
    ethertype = asked["ethertype"]
    name = for_ethertype(asked["protocol"], ethertype)
    first, last = asked["port_range_min"], asked["port_range_max"]
    if (first, last) == (1, PORT_MAX):
        first = last = None
    _require_ports(name, first, last)
    prefix = asked["remote_ip_prefix"]
    if prefix is not None and f"IPv{ipaddress.ip_interface(prefix).version}" != ethertype:
        raise BadRequestError(
            "SecurityGroupRuleParameterConflict", f"Conflicting value ethertype {ethertype} for CIDR {prefix}"
        )
    if sum(1 for one in REMOTES if asked[one]) > 1:
        raise BadRequestError(
            "SecurityGroupMultipleRemoteEntites",
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
        )
    return {
        "direction": asked["direction"],
        "ethertype": ethertype,
        "protocol": name,
        "port_min": first,
        "port_max": last,
        **{one: asked[one] or None for one in REMOTES},
    }


def _require_ports(name: str | None, first: int | None, last: int | None) -> None:
    if first is None and last is None:
        return
    if name is None:
        raise BadRequestError(
            "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given."
        )
    number = number_of(name)
    if number in PORT_NUMBERS:
        if 0 in (first, last):
            raise BadRequestError("SecurityGroupInvalidPortValue", "Invalid value for port 0")
        if first is None or last is None or first > last:
            raise BadRequestError(
                "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"
            )
    elif number in ICMPS:
        _require_icmp(first, last)
    else:
        raise BadRequestError(
            "SecurityGroupInvalidProtocolForPort",
            f"Ports cannot be specified for protocol {number}. Ports are only supported for "
            f"{', '.join(one.upper() for one in WITH_PORTS)}.",
        )


def _require_icmp(type_: int | None, code: int | None) -> None:
    for field, attribute, value in (("type", "port_range_min", type_), ("code", "port_range_max", code)):
        if value is not None and value > ICMP_MAX:
            raise BadRequestError(
                "SecurityGroupInvalidIcmpValue",
                f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255.",
            )
    if type_ is None:
        raise BadRequestError(
            "SecurityGroupMissingIcmpType",
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
        )


def shown_values(rule: SecurityGroupRule | DefaultRule) -> Row:
    """What clients see of that."""
    return {
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.port_min,
        "port_range_max": rule.port_max,
        "remote_ip_prefix": rule.remote_ip_prefix,
        "remote_group_id": rule.remote_group_id,
        "remote_address_group_id": rule.remote_address_group_id,
    }


def meaning(rule: SecurityGroupRule | DefaultRule) -> Hashable:
    """The same for rules that let the same through."""
    return (
        rule.direction,
        rule.ethertype,
        number_of(rule.protocol) if rule.protocol is not None else None,
        rule.port_min,
        rule.port_max,
        None if rule.remote_ip_prefix in EVERYWHERE else rule.remote_ip_prefix,
        rule.remote_group_id,
        rule.remote_address_group_id,
    )
