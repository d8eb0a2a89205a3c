"""What security groups let through, said of a connection that is there. Pure.

The same as the rules in `inet_table`, for the few connections of which it has to be known when something was revoked.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from compute_plugin.networks.plan.groups import FAMILIES
from compute_plugin.networks.plan.kept import Kept
from compute_plugin.networks.plan.members import Members
from compute_plugin.networks.plan.protocols import EXTENSIONS, ICMP, ICMPV6, WITH_PORTS, number
from compute_plugin.networks.plan.ruleset import Set
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import EGRESS, INGRESS, SecurityGroupRule


@dataclass(frozen=True, slots=True)
class Connection:
    """As it was begun. Of ICMP the type and the code stand for ports."""

    zone: int
    family: int
    protocol: int
    source: str
    target: str
    source_port: int | None = None
    target_port: int | None = None
    code: int | None = None
    identity: int | None = None
    """Of an echo."""


class Judge:
    """By the records as they are now."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._members = Members(records, Kept())

    def lets_through(self, connection: Connection, source: Port | None, target: Port | None) -> bool:
        """`source` and `target`: the ports of its ends that are on this host."""
        return self._may(connection, source, EGRESS) and self._may(connection, target, INGRESS)

    def _may(self, connection: Connection, port: Port | None, direction: str) -> bool:
        if port is None or not port.port_security_enabled:
            return True
        return any(
            rule.direction == direction and self._fits(rule, connection)
            for group in port.security_group_ids
            for rule in self._records.rules.by("group", group)
        )

    def _fits(self, rule: SecurityGroupRule, connection: Connection) -> bool:
        try:
            protocol = number(rule.protocol, rule.ethertype)
        except ValueError:
            return False
        if FAMILIES.get(rule.ethertype) != connection.family or not _has(rule, protocol, connection):
            return False
        remote = connection.source if rule.direction == INGRESS else connection.target
        if rule.remote_group_id is not None:
            return _is_in(remote, self._members.of_group(rule.remote_group_id, connection.family))
        if rule.remote_address_group_id is not None:
            return _is_in(remote, self._members.of_list(rule.remote_address_group_id, connection.family))
        if rule.remote_ip_prefix is not None:
            return ipaddress.ip_address(remote) in ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
        return True


def _has(rule: SecurityGroupRule, protocol: int | None, connection: Connection) -> bool:
    """Whether a rule is of the connection's protocol and ports."""
    if protocol is None or protocol in EXTENSIONS:
        return protocol is None  # of a header that stood before the protocol's own nothing is known any more
    if protocol != connection.protocol:
        return False
    if protocol in (ICMP, ICMPV6):
        return rule.port_min in (None, connection.target_port) and rule.port_max in (None, connection.code)
    if protocol in WITH_PORTS and rule.port_min is not None:
        last = rule.port_min if rule.port_max is None else rule.port_max
        return connection.target_port is not None and rule.port_min <= connection.target_port <= last
    return True


def _is_in(address: str, sets: tuple[Set, ...]) -> bool:
    for one in sets:
        if not one.interval and address in one.elements:
            return True
        if one.interval:
            parsed = ipaddress.ip_address(address)
            if any(parsed in ipaddress.ip_network(prefix) for prefix in one.elements):
                return True
    return False
