"""Addresses that machines make themselves of a prefix and their MAC (RFC 4291, appendix A)."""

from __future__ import annotations

import ipaddress


def eui64_address(cidr: str, mac: str) -> str:
    """Of the machine, in a subnet of 64 bits."""
    octets = bytes.fromhex(mac.replace(":", ""))
    own = bytes([octets[0] ^ 0x02]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    network = ipaddress.IPv6Network(cidr)
    return str(network.network_address + int.from_bytes(own, "big"))
