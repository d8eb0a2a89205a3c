"""Protocols of security group rules, by the names and numbers that clients know."""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.networks.errors import BadRequestError

NUMBERS: Final = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
"""As neutron-lib names them."""
ANY: Final = "any"
WITH_PORTS: Final = ("dccp", "sctp", "tcp", "udp", "udplite")
ICMPS: Final = (1, 58)
ONLY_IPV6: Final = frozenset({41, 43, 44, 58, 59, 60})
NUMBER_MAX: Final = 255


def protocol(value: Any) -> str | None:
    """A name in lower case, or a number as a text; None for any. Raises BadRequestError."""
    if value is None or value == ANY:
        return None
    said = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(said, str):
        if said.lower() in NUMBERS:
            return said.lower()
        if said.isascii() and said.isdecimal() and len(said) <= 3 and int(said) <= NUMBER_MAX:
            return str(int(said))
    raise BadRequestError(
        "SecurityGroupRuleInvalidProtocol",
        f"Security group rule protocol {str(value)[:255]} not supported. Only protocol values "
        f"{[None, ANY, *NUMBERS]} and integer representations [0 to 255] are supported.",
    )


def number_of(name: str) -> int:
    """Of what `protocol` gave."""
    return NUMBERS[name] if name in NUMBERS else int(name)


def for_ethertype(name: str | None, ethertype: str) -> str | None:
    """ICMP of IPv6 by its own name, whatever it was called. Raises BadRequestError for what IPv4 has not."""
    if ethertype == "IPv6" and name in ("icmp", "icmpv6"):
        return "ipv6-icmp"
    if ethertype == "IPv6" and name == "1":
        return "58"
    if ethertype == "IPv4" and name is not None and number_of(name) in ONLY_IPV6:
        raise BadRequestError(
            "SecurityGroupEthertypeConflictWithProtocol", f"Invalid ethertype {ethertype} for protocol {name}."
        )
    return name
