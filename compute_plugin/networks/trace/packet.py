"""`Packet`: what goes its way, with what the kernel notes of it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Final

PROTOCOLS: Final = {
    "hopopt": 0, "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
    "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "ospf": 89, "pim": 103, "vrrp": 112, "pgm": 113, "sctp": 132, "udplite": 136,
}  # fmt: skip
ETHERTYPES: Final = {"ip": 0x0800, "arp": 0x0806, "8021q": 0x8100, "vlan": 0x8100, "ip6": 0x86DD, "8021ad": 0x88A8}
ICMP_TYPES: Final = {
    "icmp": {"echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11},
    "icmpv6": {
        "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
        "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
        "mld-listener-done": 132, "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135,
        "nd-neighbor-advert": 136, "nd-redirect": 137, "mld2-listener-report": 143,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """An IP packet in a frame."""

    source_mac: str
    target_mac: str
    source: str
    target: str
    protocol: int
    source_port: int = 0
    target_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    incoming: str = ""
    """The link that it came in by; "" where it was made."""
    outgoing: str = ""
    mark: int = 0
    state: frozenset[str] = frozenset({"new"})
    """Of its connection: `new`, or `established` for an answer."""
    status: frozenset[str] = frozenset()
    """Of its connection: `snat`, `dnat`, where that was translated."""
    zone: int = 0
    changed: tuple[str, ...] = field(default=())
    """What was done to it on the way, in words."""

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.source).version

    @property
    def ethertype(self) -> int:
        return ETHERTYPES["ip" if self.version == 4 else "ip6"]

    def answered(self) -> Packet:
        """Its answer, as it begins its way."""
        kinds = {8: 0, 128: 129}
        return replace(
            self,
            source_mac=self.target_mac,
            target_mac=self.source_mac,
            source=self.target,
            target=self.source,
            source_port=self.target_port,
            target_port=self.source_port,
            icmp_type=kinds.get(self.icmp_type, self.icmp_type),
            state=frozenset({"established"}),
            mark=0,
            incoming="",
            outgoing="",
        )
