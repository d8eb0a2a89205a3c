"""What RBAC policies are about, and which projects use it because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_EXTERNAL, AS_SHARED
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_scopes import AddressScopes
from compute_plugin.networks.v2.addressing.subnetpools import SubnetPools
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.networks.networks import Networks
from compute_plugin.networks.v2.qos.qos_policies import QosPolicies
from compute_plugin.networks.v2.security.address_groups import AddressGroups
from compute_plugin.networks.v2.security.security_groups import SecurityGroups

Users = Callable[[Records, str], Iterator[str]]


class ObjectType(NamedTuple):
    """A kind of thing that others may be let use."""

    kind: Collection[Any]
    users: Users
    """Of a thing, the projects that use it; whoever asks leaves out the one that has it."""
    actions: tuple[str, ...] = (AS_SHARED,)


def _on_network(records: Records, id_: str) -> Iterator[str]:
    yield from _projects(records.ports, "network", id_)
    yield from _projects(records.subnets, "network", id_)


def _in_group(records: Records, id_: str) -> Iterator[str]:
    yield from _projects(records.ports, "group", id_)
    yield from _projects(records.rules, "remote", id_)


def _with_policy(records: Records, id_: str) -> Iterator[str]:
    for table in (records.networks, records.ports, records.routers, records.floating_ips):
        yield from _projects(table, "qos", id_)


def _projects(table: Table[Any], index: str, id_: str) -> Iterator[str]:
    yield from (one.project_id for one in table.by(index, id_))


def outside_users(records: Records, id_: str) -> Iterator[str]:
    """Projects that lead to an external network or have addresses of it."""
    yield from _projects(records.routers, "gateway", id_)
    yield from _projects(records.floating_ips, "network", id_)


TYPES: Final[Mapping[str, ObjectType]] = {
    "network": ObjectType(Networks(), _on_network, (AS_SHARED, AS_EXTERNAL)),
    "qos_policy": ObjectType(QosPolicies(), _with_policy),
    "security_group": ObjectType(SecurityGroups(), _in_group),
    "address_scope": ObjectType(AddressScopes(), lambda records, id_: _projects(records.subnetpools, "scope", id_)),
    "subnetpool": ObjectType(SubnetPools(), lambda records, id_: _projects(records.subnets, "pool", id_)),
    "address_group": ObjectType(AddressGroups(), lambda records, id_: _projects(records.rules, "addresses", id_)),
}
