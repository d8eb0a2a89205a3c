"""What a port may send from, as elements of sets of nft."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from compute_plugin.networks.plan.addresses import address, collapsed, is_single, link_local, mac, prefix, version
from compute_plugin.networks.records.port import Port


@dataclass(frozen=True, slots=True)
class Sources:
    """Elements; the first part of each is the name of the port's link."""

    macs: frozenset[str]
    exact: tuple[frozenset[str], frozenset[str]]
    """MAC and address: of IPv4, of IPv6."""
    wide: tuple[frozenset[str], frozenset[str]]
    """MAC and prefix."""
    targets: frozenset[str]
    """Addresses of IPv6 that it may say it has, as numbers."""
    wide_targets: frozenset[str]
    """Ranges of such."""


@lru_cache(maxsize=16384)
def sources(port: Port, link: str) -> Sources:
    """Of a port whose link is called so. Raises ValueError where the record has what is no address."""
    own = mac(port.mac)
    pairs = {(own, prefix(address(fixed.address))) for fixed in port.fixed_ips}
    pairs |= {(mac(pair.mac) if pair.mac else own, prefix(pair.address)) for pair in port.address_pairs}
    macs = {own, *(one for one, _ in pairs)}
    pairs |= {(one, f"{link_local(one)}/128") for one in macs}
    exact: tuple[set[str], set[str]] = (set(), set())
    wide: tuple[set[str], set[str]] = (set(), set())
    targets: set[str] = set()
    ranges: set[str] = set()
    for who in sorted(macs):
        held = {to for one, to in pairs if one == who}
        for one in held:
            if is_single(one):
                exact[version(one) == 6].add(f'"{link}" . {who} . {one.partition("/")[0]}')
        wide_ones = collapsed({one for one in held if not is_single(one)})
        for one in wide_ones:
            wide[version(one) == 6].add(f'"{link}" . {who} . {one}')
    of6 = {one for _, one in pairs if version(one) == 6}
    for one in of6:
        if is_single(one):
            targets.add(f'"{link}" . {int(ipaddress.IPv6Address(one.partition("/")[0])):#x}')
    for one in collapsed({one for one in of6 if not is_single(one)}):
        network = ipaddress.IPv6Network(one)
        ranges.add(f'"{link}" . {int(network[0]):#x}-{int(network[-1]):#x}')
    return Sources(
        frozenset(f'"{link}" . {one}' for one in macs),
        (frozenset(exact[0]), frozenset(exact[1])),
        (frozenset(wide[0]), frozenset(wide[1])),
        frozenset(targets),
        frozenset(ranges),
    )
