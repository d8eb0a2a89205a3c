"""`Span`: a range of addresses as numbers, since prefixes and pools can have more than can be looked at."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from compute_plugin.networks.records.network import Pool

IPNetwork = IPv4Network | IPv6Network


class Span(NamedTuple):
    """Both ends included."""

    version: int
    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def text_of(version: int, number: int) -> str:
    """An address in its shortest form."""
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


def number_of(address: str) -> int:
    return int(ipaddress.ip_address(address))


def span_of(cidr: str | IPNetwork) -> Span:
    """All addresses of a prefix."""
    network = ipaddress.ip_network(cidr)
    return Span(network.version, int(network.network_address), int(network.broadcast_address))


def span_of_pool(pool: Pool) -> Span:
    start = ipaddress.ip_address(pool.start)
    return Span(start.version, int(start), number_of(pool.end))


def pool_of(span: Span) -> Pool:
    return Pool(text_of(span.version, span.first), text_of(span.version, span.last))


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same addresses in as few spans as it can be, in order."""
    found: list[Span] = []
    for one in sorted(spans):
        if found and found[-1].version == one.version and one.first <= found[-1].last + 1:
            found[-1] = found[-1]._replace(last=max(found[-1].last, one.last))
        else:
            found.append(one)
    return found


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of the spans."""
    gone = joined(taken)
    found: list[Span] = []
    at = 0
    for one in joined(spans):
        first = one.first
        while at < len(gone) and (gone[at].version, gone[at].last) < (one.version, first):
            at += 1
        here = at
        while here < len(gone) and gone[here].version == one.version and gone[here].first <= one.last:
            if gone[here].first > first:
                found.append(Span(one.version, first, gone[here].first - 1))
            first = max(first, gone[here].last + 1)
            here += 1
        if first <= one.last:
            found.append(Span(one.version, first, one.last))
    return found


def networks_of(spans: Iterable[Span]) -> Iterator[IPNetwork]:
    """The same addresses as prefixes."""
    for one in joined(spans):
        if one.version == 4:
            yield from ipaddress.summarize_address_range(IPv4Address(one.first), IPv4Address(one.last))
        else:
            yield from ipaddress.summarize_address_range(IPv6Address(one.first), IPv6Address(one.last))
