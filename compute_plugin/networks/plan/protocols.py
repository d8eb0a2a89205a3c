"""Protocols as rules of security groups name them, in the words of nft."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

IPV4: Final = "IPv4"
IPV6: Final = "IPv6"
EVERY: Final = frozenset({"any", "0"})
"""All protocols: 0 as stock firewalls have it."""
ICMP: Final = 1
ICMPV6: Final = 58
NUMBERS: Final = MappingProxyType(
    {
        "icmp": ICMP,
        "igmp": 2,
        "ipip": 4,
        "tcp": 6,
        "egp": 8,
        "udp": 17,
        "dccp": 33,
        "ipv6-encap": 41,
        "ipv6-route": 43,
        "ipv6-frag": 44,
        "rsvp": 46,
        "gre": 47,
        "esp": 50,
        "ah": 51,
        "icmpv6": ICMPV6,
        "ipv6-icmp": ICMPV6,
        "ipv6-nonxt": 59,
        "ipv6-opts": 60,
        "ospf": 89,
        "vrrp": 112,
        "pgm": 113,
        "sctp": 132,
        "udplite": 136,
    }
)
WITH_PORTS: Final = MappingProxyType({6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"})
EXTENSIONS: Final = MappingProxyType({43: "rt", 44: "frag", 60: "dst"})
"""Headers of IPv6 that stand before the protocol's own."""


def number(protocol: str | None, ethertype: str) -> int | None:
    """None for all. Raises ValueError for what is none."""
    if protocol is None or protocol.lower() in EVERY:
        return None
    known = NUMBERS.get(protocol.lower())
    if known is None:
        if not (protocol.isascii() and protocol.isdigit() and int(protocol) <= 255):
            raise ValueError(f"no protocol {protocol[:32]!r} is known")
        known = int(protocol)
    return ICMPV6 if known == ICMP and ethertype == IPV6 else known


def match(protocol: int | None, least: int | None, most: int | None) -> str:
    """Packets of a protocol (None: all), and of its ports, or its type and code. Raises ValueError for what is none."""
    for one in (least, most):
        if one is not None and not 0 <= one <= 0xFFFF:
            raise ValueError(f"{one} is no port")
    if protocol is None:
        return ""
    if protocol in (ICMP, ICMPV6):
        return _icmp("icmp" if protocol == ICMP else "icmpv6", protocol, least, most)
    if protocol in EXTENSIONS:
        return f"exthdr {EXTENSIONS[protocol]} exists"
    if protocol in WITH_PORTS and least is not None:
        last = least if most is None else most
        if (least, last) == (0, 0xFFFF):
            return f"meta l4proto {protocol}"
        if last < least:
            raise ValueError(f"{least} to {last} are no ports")
        return f"{WITH_PORTS[protocol]} dport {least if least == last else f'{least}-{last}'}"
    return f"meta l4proto {protocol}"


def _icmp(name: str, protocol: int, type_: int | None, code: int | None) -> str:
    if type_ is None:
        return f"meta l4proto {protocol}"
    if type_ > 255 or (code or 0) > 255:
        raise ValueError(f"{type_}, {code} are no type and code of ICMP")
    shown = f"{name} type {type_}"
    return shown if code is None else f"{shown} {name} code {code}"
