"""Addresses that machines make themselves of a prefix and their MAC (RFC 4291, appendix A)."""

from __future__ import annotations

import ipaddress

PREFIX_BITS = 64
"""Of the only prefixes that it works with."""


def eui64_address(cidr: str, mac: str) -> str:
    """In the subnet, of the machine."""
    octets = bytes.fromhex(mac.replace(":", ""))
    own = bytes([octets[0] ^ 0x02]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    network = ipaddress.IPv6Network(cidr)
    return str(network.network_address + int.from_bytes(own, "big"))


def is_eui64(address: str) -> bool:
    """Whether it looks as if it was made of a MAC."""
    held = ipaddress.ip_address(address)
    return held.version == 6 and held.packed[11:13] == b"\xff\xfe"
