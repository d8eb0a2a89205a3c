"""Subnet pools."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.addresses.prefixes import compact, has_all, left_of, overlap
from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.network import SubnetPool
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_readers import PREFIXES_MAX, prefixes
from compute_plugin.networks.v2.addressing.subnetpool_checks import (
    few,
    require_affinity_of_networks,
    require_bounds,
    require_movable,
    require_one_version,
    require_scope,
    require_sole_default,
)
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, OWNED, REQUIRED, Attribute, asked_of_new, shown
from compute_plugin.networks.v2.frame.collection import Action, Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag, name, or_none, uuid, whole
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.network_access import seen_network
from compute_plugin.networks.v2.operating.tags import new_tags
from compute_plugin.networks.v2.sharing.shares import forget_shares, share
from gateway.rest.errors import ForbiddenError

OBJECT: Final = "subnetpool"
"""In RBAC policies."""
BITS: Final = {4: 32, 6: 128}
LEAST_BITS: Final = {4: 8, 6: 64}
"""Of the shortest prefix that is cut where the pool says nothing."""
_BITS: Final = or_none(whole(0, BITS[6]))
_PREFIXES: Final = (Attribute("prefixes", prefixes, default=REQUIRED),)
_NETWORK: Final = (Attribute("network_id", uuid, default=REQUIRED),)


def _add_prefixes(pools: SubnetPools, change: Change, record: SubnetPool, body: Row) -> Row:
    added = asked_of_new(_PREFIXES, body)["prefixes"]
    after = pools.update(change, record, {"prefixes": (*record.prefixes, *added)})
    return {"prefixes": list(after.prefixes)}


def _remove_prefixes(pools: SubnetPools, change: Change, record: SubnetPool, body: Row) -> Row:
    gone = asked_of_new(_PREFIXES, body)["prefixes"]
    if overlap([one.cidr for one in change.records.subnets.by("pool", record.id)], gone):
        raise BadRequestError(
            "IllegalSubnetPoolPrefixUpdate",
            "Illegal update to prefixes: One or more prefixes is in use by subnets allocated from the subnet pool.",
        )
    left = few(left_of(record.prefixes, gone, PREFIXES_MAX + 1))
    if not left:
        raise BadRequestError("EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
    after = change.put(change.records.subnetpools, replace(record, prefixes=left))
    return {"prefixes": list(after.prefixes)}


def _onboard(pools: SubnetPools, change: Change, record: SubnetPool, body: Row) -> Any:
    network = seen_network(change, asked_of_new(_NETWORK, body)["network_id"])
    if network.project_id != change.project and not change.is_admin:
        raise ForbiddenError("onboard_network_subnets")
    records = change.records
    subnets = [one for one in records.subnets.by("network", network.id) if one.ip_version == record.ip_version]
    held = [one.cidr for one in records.subnets.by("pool", record.id)]
    for subnet in subnets:
        if overlap(held, [subnet.cidr]):
            raise BadRequestError(
                "IllegalSubnetPoolUpdate",
                f"Illegal subnetpool update : Onboarding subnet {subnet.id}: {subnet.cidr} conflicts with allocated "
                f"prefixes in subnet pool {record.id}.",
            )
    pools.update(change, record, {"prefixes": (*record.prefixes, *(one.cidr for one in subnets))})
    for subnet in subnets:
        change.put(records.subnets, replace(subnet, subnetpool_id=record.id))
    return [{"id": one.id, "cidr": one.cidr} for one in subnets]


class SubnetPools(Collection[SubnetPool]):
    """`/subnetpools`."""

    singular = "subnetpool"
    plural = "subnetpools"
    path = "/subnetpools"
    quota = "subnetpool"
    tagged = True
    narrowing: ClassVar = {"address_scope_id": "scope", "project_id": "project", "tenant_id": "project"}
    actions: ClassVar[dict[str, Action]] = {
        "add_prefixes": _add_prefixes,
        "remove_prefixes": _remove_prefixes,
        "onboard_network_subnets": _onboard,
    }
    attributes = (
        Attribute("name", name(), default=REQUIRED),
        *DESCRIBED,
        *OWNED,
        Attribute("prefixes", prefixes, default=REQUIRED),
        Attribute("default_quota", or_none(whole(0, 2**31 - 1)), default=None),
        Attribute("default_prefixlen", _BITS, default=None),
        Attribute("min_prefixlen", _BITS, default=None),
        Attribute("max_prefixlen", _BITS, default=None),
        Attribute("is_default", flag, default=False),
        Attribute("shared", flag, update=False, default=False),
        Attribute("address_scope_id", or_none(uuid), default=None),
        Attribute("tags", new_tags, update=False, default=()),
        *shown("id", "ip_version", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[SubnetPool]:
        return records.subnetpools

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: SubnetPool) -> Row:
        return {**super().target(view, record), "shared": view.is_open(record.id)}

    def show(self, view: View, record: SubnetPool) -> Row:
        return {
            **standard_row(record),
            "prefixes": list(record.prefixes),
            "ip_version": record.ip_version,
            "default_prefixlen": record.default_prefixlen,
            "min_prefixlen": record.min_prefixlen,
            "max_prefixlen": record.max_prefixlen,
            "default_quota": record.default_quota,
            "address_scope_id": record.address_scope_id,
            "is_default": record.is_default,
            "shared": view.is_open(record.id),
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> SubnetPool:
        shared = asked.pop("shared")
        version = require_one_version(asked["prefixes"])
        asked["prefixes"] = few(compact(asked["prefixes"]))
        least, most = asked.pop("min_prefixlen"), asked.pop("max_prefixlen")
        least = LEAST_BITS[version] if least is None else least
        most = BITS[version] if most is None else most
        usual = asked.pop("default_prefixlen")
        pool = SubnetPool(
            **fresh_fields(change, project, asked),
            **asked,
            ip_version=version,
            min_prefixlen=least,
            max_prefixlen=most,
            default_prefixlen=least if usual is None else usual,
        )
        self._require_sound(change, pool)
        pool = change.put(change.records.subnetpools, pool)
        if shared:
            share(change, pool, OBJECT)
        return pool

    def update(self, change: Change, record: SubnetPool, asked: Row) -> SubnetPool:
        if "prefixes" in asked:
            if require_one_version(asked["prefixes"]) != record.ip_version:
                raise BadRequestError("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
            if not has_all(asked["prefixes"], record.prefixes):
                raise BadRequestError(
                    "IllegalSubnetPoolPrefixUpdate",
                    "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
                )
            asked["prefixes"] = few(compact(asked["prefixes"]))
        for one in ("min_prefixlen", "max_prefixlen", "default_prefixlen"):
            if one in asked and asked[one] is None:
                del asked[one]
        require_movable(change, record)
        after = replace(record, **asked)
        if after.address_scope_id != record.address_scope_id:
            require_affinity_of_networks(change.records, record)
        self._require_sound(change, after)
        return change.put(change.records.subnetpools, after)

    def delete(self, change: Change, record: SubnetPool) -> None:
        if change.records.subnets.has("pool", record.id):
            raise BadRequestError(
                "SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations."
            )
        forget_shares(change, record.id)
        super().delete(change, record)

    def _require_sound(self, change: Change, pool: SubnetPool) -> None:
        require_bounds(pool, BITS[pool.ip_version])
        if pool.is_default:
            require_sole_default(change.records, pool)
        require_scope(change, pool)
