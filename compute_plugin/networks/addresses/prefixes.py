"""Prefixes that are cut out of what a subnet pool has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from itertools import islice

from compute_plugin.networks.addresses.spans import joined, networks_of, span_of, without

UNIT_BITS = {4: 32, 6: 64}
"""What quotas of subnet pools count: addresses of IPv4, prefixes of 64 bits of IPv6."""


def compact(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The same addresses in as few prefixes as it can be, in order."""
    return tuple(str(one) for one in networks_of(span_of(cidr) for cidr in cidrs))


def free_prefix(cidrs: Sequence[str], taken: Iterable[str], bits: int) -> str | None:
    """One of this length that overlaps nothing taken, of the smallest rest that has room for it; None if none has."""
    rests = networks_of(without(map(span_of, cidrs), map(span_of, taken)))
    fitting = [one for one in rests if one.prefixlen <= bits]
    if not fitting:
        return None
    chosen = max(fitting, key=lambda one: (one.prefixlen, -int(one.network_address)))
    return f"{chosen.network_address}/{bits}"


def is_free(cidrs: Sequence[str], taken: Iterable[str], cidr: str) -> bool:
    """Whether all of a prefix is there, and none of it is taken."""
    return has_all(cidrs, [cidr]) and not overlap(taken, [cidr])


def has_all(cidrs: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether the first have all addresses of the second."""
    return not without(map(span_of, wanted), map(span_of, cidrs))


def overlap(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether there is an address in both."""
    mine = joined(map(span_of, some))
    rest = without(mine, map(span_of, others))
    return sum(one.size for one in rest) != sum(one.size for one in mine)


def left_of(cidrs: Iterable[str], gone: Iterable[str], most: int) -> tuple[str, ...]:
    """What is left, as prefixes; no more than `most` of them: a few that are gone can leave very many."""
    left = networks_of(without(map(span_of, cidrs), map(span_of, gone)))
    return tuple(str(one) for one in islice(left, most))


def units(cidr: str) -> float:
    """How much of a quota a prefix takes."""
    held = ipaddress.ip_network(cidr)
    return float(2.0 ** (UNIT_BITS[held.version] - held.prefixlen))
