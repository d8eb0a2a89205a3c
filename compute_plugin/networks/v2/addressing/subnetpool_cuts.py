"""Prefixes for subnets out of subnet pools."""

from __future__ import annotations

import ipaddress

from compute_plugin.networks.addresses.prefixes import free_prefix, is_free, units
from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import Network, SubnetPool
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.view import View


def bad_subnet(reason: str) -> BadRequestError:
    """What a client is told of a subnet that is not said well enough to be made."""
    return BadRequestError("BadRequest", f"Bad subnets request: {reason}.")


def seen_pool(view: View, id_: str) -> SubnetPool:
    """Raises MissingError, where the caller may not see it as well."""
    pool = view.records.subnetpools.require(id_)
    if not _sees(view, pool):
        raise view.records.subnetpools.missing(id_)
    return pool


def _sees(view: View, pool: SubnetPool) -> bool:
    return view.is_admin or pool.project_id == view.project or view.is_open(pool.id)


def default_pool(view: View, version: int) -> SubnetPool:
    """That of everybody who sees it and names none. Raises BadRequestError."""
    for pool in view.records.subnetpools:
        if pool.is_default and pool.ip_version == version and _sees(view, pool):
            return pool
    raise bad_subnet(f"No default subnetpool found for IPv{version}")


def cut(records: Records, project: str, pool: SubnetPool, cidr: str | None, bits: int | None) -> str:
    """The prefix that is asked for, or any of its length. Raises BadRequestError, InUseError."""
    if cidr is not None:
        bits = ipaddress.ip_network(cidr).prefixlen
    elif bits is None:
        bits = pool.default_prefixlen
    for is_wrong, type_, what, bound in (
        (bits > pool.max_prefixlen, "MaxPrefixSubnetAllocationError", "maximum", pool.max_prefixlen),
        (bits < pool.min_prefixlen, "MinPrefixSubnetAllocationError", "minimum", pool.min_prefixlen),
    ):
        if is_wrong:
            raise BadRequestError(
                type_, f"Unable to allocate subnet with prefix length {bits}, {what} allowed prefix is {bound}."
            )
    subnets = records.subnets.by("pool", pool.id)
    taken = [one.cidr for one in subnets]
    if cidr is None:
        found = free_prefix(pool.prefixes, taken, bits)
        if found is None:
            raise _failed(f"Insufficient prefix space to allocate subnet size /{bits}")
    elif is_free(pool.prefixes, taken, cidr):
        found = cidr
    else:
        raise _failed("Cannot allocate requested subnet from the available set of prefixes")
    held = sum(units(one.cidr) for one in subnets if one.project_id == project)
    if pool.default_quota and held + units(found) > pool.default_quota:
        raise InUseError("SubnetPoolQuotaExceeded", "Per-project subnet pool prefix quota exceeded.")
    return found


def _failed(reason: str) -> InUseError:
    return InUseError("SubnetAllocationError", f"Failed to allocate subnet: {reason}.")


def require_affinity(records: Records, network: Network, version: int, pool: SubnetPool | None) -> None:
    """That the subnets of a network come from one pool, or at least from one address scope. Raises BadRequestError."""
    others = [one for one in records.subnets.by("network", network.id) if one.ip_version == version]
    pools = [records.subnetpools.get(one.subnetpool_id or "") for one in others]
    scopes = {one.address_scope_id for one in pools if one is not None and one.address_scope_id}
    if scopes:
        if pool is not None and pool.address_scope_id not in scopes:
            raise BadRequestError(
                "NetworkAddressScopeAffinityError",
                "Subnets of the same address family hosted on the same network must all participate in the same "
                "address scope.",
            )
        if pool is not None:
            return
    mine = pool.id if pool is not None else None
    if any(one.subnetpool_id != mine for one in others):
        raise BadRequestError(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        )
