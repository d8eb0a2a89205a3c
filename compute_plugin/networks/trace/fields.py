"""What nftables' words for parts of a packet mean, and whether a value is one of those that a rule names. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from compute_plugin.networks.trace.packet import ETHERTYPES, ICMP_TYPES, PROTOCOLS, Packet

TCP, UDP, ICMP, ICMP6 = (PROTOCOLS[name] for name in ("tcp", "udp", "icmp", "icmpv6"))
PORTED = (TCP, UDP, PROTOCOLS["sctp"], PROTOCOLS["dccp"], PROTOCOLS["udplite"])


class UnknownError(Exception):
    """A rule has something that is not known here."""


def held(packet: Packet, kind: str, value: Mapping[str, Any]) -> Any:
    """A part of a packet, or what is noted of it; None where it has no such part. Raises UnknownError."""
    match kind:
        case "meta":
            return _meta(packet, value["key"])
        case "payload":
            return _payload(packet, value.get("protocol", ""), value.get("field", ""))
        case "ct":
            return _connection(packet, value["key"])
    raise UnknownError(kind)


def _meta(packet: Packet, key: str) -> Any:
    match key:
        case "iifname":
            return packet.incoming
        case "oifname":
            return packet.outgoing
        case "mark":
            return packet.mark
        case "l4proto":
            return packet.protocol
        case "nfproto":
            return packet.version
        case "protocol":
            return packet.ethertype
        case "pkttype":
            return "unicast"
        case "iiftype":
            return "ether"
    raise UnknownError(f"meta {key}")


def _connection(packet: Packet, key: str) -> Any:
    match key:
        case "state":
            return packet.state
        case "status":
            return packet.status
        case "zone":
            return packet.zone
    raise UnknownError(f"ct {key}")


def _payload(packet: Packet, protocol: str, field: str) -> Any:
    match protocol, field:
        case "ether", "saddr":
            return packet.source_mac
        case "ether", "daddr":
            return packet.target_mac
        case "ether", "type":
            return packet.ethertype
        case (("ip" | "ip6"), "saddr"):
            return packet.source if _is_of(packet, protocol) else None
        case (("ip" | "ip6"), "daddr"):
            return packet.target if _is_of(packet, protocol) else None
        case ("ip", "protocol") | ("ip6", "nexthdr"):
            return packet.protocol if _is_of(packet, protocol) else None
        case ("arp", _) | ("vlan", _):
            return None
        case (("tcp" | "udp" | "sctp" | "dccp" | "udplite" | "th"), ("sport" | "dport")):
            if protocol == "th" and packet.protocol not in PORTED:
                return None
            if protocol != "th" and packet.protocol != PROTOCOLS[protocol]:
                return None
            return packet.source_port if field == "sport" else packet.target_port
        case (("icmp" | "icmpv6"), ("type" | "code")):
            if packet.protocol != (ICMP if protocol == "icmp" else ICMP6):
                return None
            return packet.icmp_type if field == "type" else packet.icmp_code
        case "ip", "frag-off":
            return 0
    raise UnknownError(f"{protocol} {field}")


def _is_of(packet: Packet, protocol: str) -> bool:
    return packet.version == (4 if protocol == "ip" else 6)


def flags(right: Any) -> frozenset[str]:
    """The names that a right side has, where what it is compared with is a set of names."""
    if isinstance(right, str):
        return frozenset({right})
    if isinstance(right, list):
        return frozenset(right)
    if isinstance(right, Mapping):
        found = right.get("set") or right.get("|")
        if found is not None:
            return frozenset().union(*(flags(one) for one in found))
    raise UnknownError(f"flags {right!r}")


def is_in(found: Any, wanted: Any, left: Any) -> bool:
    """Whether a value is another one, or within it: prefixes and ranges. `left` says what kind of value it is."""
    if isinstance(wanted, Mapping):
        if "concat" in wanted:
            return _concat(found, wanted["concat"], left)
        if "prefix" in wanted:
            prefix = wanted["prefix"]
            return ipaddress.ip_address(str(found)) in ipaddress.ip_network(f"{prefix['addr']}/{prefix['len']}", False)
        if "range" in wanted:
            least, most = wanted["range"]
            if isinstance(least, str) and _is_address(least):
                return _order(least) <= _order(str(found)) <= _order(most)
            return number_of(least, left) <= number_of(found, left) <= number_of(most, left)
        raise UnknownError(f"{wanted!r}")
    if isinstance(found, str):
        if isinstance(wanted, str) and wanted.endswith("*"):
            return found.startswith(wanted[:-1])
        return _normal(found) == _normal(wanted)
    return number_of(found, left) == number_of(wanted, left)


def _concat(found: Any, parts: list[Any], left: Any) -> bool:
    if not isinstance(found, tuple) or len(found) != len(parts):
        return False
    kinds = left["concat"] if isinstance(left, Mapping) and "concat" in left else [{}] * len(parts)
    return all(is_in(one, part, kind) for one, part, kind in zip(found, parts, kinds, strict=True))


def _order(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _normal(value: Any) -> str:
    text = str(value).lower()
    return str(ipaddress.ip_address(text)) if _is_address(text) else text


def number_of(value: Any, left: Any) -> int:
    """What a name stands for. Raises UnknownError."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str):
        text = value.lower()
        if text.isdecimal() or text.startswith("0x"):
            return int(text, 0)
        for names in (_icmp_names(left), {"ipv4": 4, "ipv6": 6}, PROTOCOLS, ETHERTYPES):
            if text in names:
                return names[text]
    raise UnknownError(f"value {value!r}")


def _icmp_names(left: Any) -> Mapping[str, int]:
    payload = left.get("payload", {}) if isinstance(left, Mapping) else {}
    return ICMP_TYPES.get(payload["protocol"], {}) if payload.get("field") == "type" else {}
