"""What a subnet pool cannot be, with the errors that clients know."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from compute_plugin.networks.addresses.prefixes import overlap
from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import SubnetPool
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.addressing.address_readers import PREFIXES_MAX
from compute_plugin.networks.v2.frame.attributes import invalid
from compute_plugin.networks.v2.frame.view import Change


def require_one_version(prefixes: Sequence[str]) -> int:
    """The version of all of them. Raises BadRequestError."""
    versions = {ipaddress.ip_network(one).version for one in prefixes}
    if not versions:
        raise BadRequestError("EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
    if len(versions) > 1:
        raise BadRequestError("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
    return versions.pop()


def few(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """The same. Raises BadRequestError where a pool cannot have so many."""
    if len(prefixes) > PREFIXES_MAX:
        raise BadRequestError(
            "IllegalSubnetPoolPrefixUpdate", f"Illegal update to prefixes: A pool has at most {PREFIXES_MAX} prefixes."
        )
    return prefixes


def require_bounds(pool: SubnetPool, bits: int) -> None:
    """That the least, the usual and the most length are in order. Raises BadRequestError."""
    for is_wrong, name, held, other, bound in (
        (pool.min_prefixlen > pool.max_prefixlen, "min_prefixlen", pool.min_prefixlen, "max_prefixlen",
         pool.max_prefixlen),
        (pool.max_prefixlen > bits, "max_prefixlen", pool.max_prefixlen, "ip_version_max", bits),
        (pool.default_prefixlen < pool.min_prefixlen, "default_prefixlen", pool.default_prefixlen, "min_prefixlen",
         pool.min_prefixlen),
        (pool.default_prefixlen > pool.max_prefixlen, "default_prefixlen", pool.default_prefixlen, "max_prefixlen",
         pool.max_prefixlen),
    ):  # fmt: skip
        if is_wrong:
            raise BadRequestError(
                "IllegalSubnetPoolPrefixBounds", f"Illegal prefix bounds: {name}={held}, {other}={bound}."
            )


def require_sole_default(records: Records, pool: SubnetPool) -> None:
    """That no other one is taken where none is named. Raises BadRequestError."""
    for other in records.subnetpools:
        if other.is_default and other.ip_version == pool.ip_version and other.id != pool.id:
            raise invalid(
                "A default subnetpool for this IP family has already been set. Only one default may exist per IP family"
            )


def require_scope(change: Change, pool: SubnetPool) -> None:
    """That its address scope is there for it, and that no other pool of the scope has its addresses. Raises
    BadRequestError, InUseError, MissingError."""
    if pool.address_scope_id is None:
        return
    scopes = change.records.address_scopes
    scope = scopes.require(pool.address_scope_id)
    if not (change.is_admin or scope.project_id == change.project or change.is_open(scope.id)):
        raise scopes.missing(scope.id)
    if scope.ip_version != pool.ip_version:
        raise BadRequestError(
            "IllegalSubnetPoolIpVersionAssociationToAddressScope",
            f"Illegal subnetpool association: subnetpool {pool.id} cannot associate with address scope {scope.id} "
            f"because subnetpool ip_version is not {scope.ip_version}.",
        )
    for other in change.records.subnetpools.by("scope", scope.id):
        if other.id != pool.id and overlap(other.prefixes, pool.prefixes):
            raise InUseError(
                "AddressScopePrefixConflict",
                "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
            )


def require_movable(change: Change, pool: SubnetPool) -> None:
    """Who put a pool into the address scope of somebody else does not change it any more. Raises BadRequestError."""
    scope = change.records.address_scopes.get(pool.address_scope_id or "")
    if scope is not None and scope.project_id != change.project and not change.is_admin:
        raise BadRequestError(
            "IllegalSubnetPoolUpdate",
            f"Illegal subnetpool update : subnetpool {pool.id} cannot be updated when associated with shared address "
            f"scope {scope.id}.",
        )


def require_affinity_of_networks(records: Records, pool: SubnetPool) -> None:
    """That networks which have subnets of the pool have no others, where its scope is to be another one. Raises
    BadRequestError."""
    for network_id in {one.network_id for one in records.subnets.by("pool", pool.id)}:
        for subnet in records.subnets.by("network", network_id):
            if subnet.ip_version == pool.ip_version and subnet.subnetpool_id != pool.id:
                raise BadRequestError(
                    "NetworkAddressScopeAffinityError",
                    "Subnets of the same address family hosted on the same network must all participate in the same "
                    "address scope.",
                )
