"""Addresses in their one form. What comes from records is parsed here before it goes anywhere."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache

from compute_plugin.networks.records.network import Subnet

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@lru_cache(maxsize=65536)
def address(text: str) -> str:
    """Raises ValueError for what is none."""
    parsed = ipaddress.ip_address(text)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        raise ValueError(f"{text[:64]!r} has a zone")
    return str(parsed)


@lru_cache(maxsize=65536)
def prefix(text: str) -> str:
    """An address or a prefix, as a prefix; bits behind its length are cleared. Raises ValueError."""
    return str(ipaddress.ip_network(text, strict=False))


@lru_cache(maxsize=65536)
def mac(text: str) -> str:
    """In small letters. Raises ValueError for what is none."""
    small = text.lower()
    if not _MAC.fullmatch(small):
        raise ValueError(f"{text[:64]!r} is no MAC address")
    return small


def version(text: str) -> int:
    """4 or 6, of an address or a prefix that was parsed."""
    return 6 if ":" in text else 4


def length(subnet: Subnet) -> int:
    """Of a subnet's prefix."""
    return ipaddress.ip_network(subnet.cidr, strict=False).prefixlen


def with_length(text: str, subnet: Subnet) -> str:
    """An address on a subnet, as links have it."""
    return f"{address(text)}/{length(subnet)}"


def is_single(text: str) -> bool:
    """Whether a prefix that was parsed is of one address."""
    return text.endswith("/128" if ":" in text else "/32")


def collapsed(prefixes: set[str]) -> frozenset[str]:
    """The same addresses, in prefixes of one version that do not overlap."""
    networks = [ipaddress.ip_network(one) for one in prefixes]
    of4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    of6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    return frozenset(str(one) for one in (*ipaddress.collapse_addresses(of4), *ipaddress.collapse_addresses(of6)))


@lru_cache(maxsize=65536)
def link_local(mac_: str) -> str:
    """What IPv6 makes of a MAC (EUI-64)."""
    octets = bytes.fromhex(mac_.replace(":", ""))
    interface = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))


def made_mac(id_: str) -> str:
    """A MAC of our own for something with an id."""
    digest = hashlib.blake2b(id_.encode(), digest_size=5).digest()
    return ":".join(f"{octet:02x}" for octet in (0x0E, *digest))
