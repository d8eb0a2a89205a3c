"""Frames as hostile guests make them, octet by octet."""

from __future__ import annotations

import socket
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"


def ethernet(target: str, source: str, kind: int, payload: bytes) -> bytes:
    return octets(target) + octets(source) + struct.pack("!H", kind) + payload


def tagged(target: str, source: str, number: int, kind: int, payload: bytes) -> bytes:
    """Of a VLAN."""
    return octets(target) + octets(source) + struct.pack("!HHH", 0x8100, number, kind) + payload


def arp(source_mac: str, source: str, target: str, operation: int = 2) -> bytes:
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
        + octets(source_mac)
        + socket.inet_aton(source)
        + bytes(6)
        + socket.inet_aton(target)
    )


def ip4(source: str, target: str, protocol: int, payload: bytes, *, fragment: int = 0, identity: int = 1) -> bytes:
    """`fragment`: flags and offset, as they stand in the header."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identity, fragment, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + payload


def udp(source_port: int, target_port: int, data: bytes) -> bytes:
    """Without a sum: that is allowed."""
    return struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data


def ip6(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255)
    return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + payload


def icmp6(source: str, target: str, type_: int, body: bytes) -> bytes:
    """With its sum, which is over the addresses, too."""
    message = struct.pack("!BBH", type_, 0, 0) + body
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    pseudo += struct.pack("!IHBB", len(message), 0, 0, 58)
    return message[:2] + struct.pack("!H", _sum(pseudo + message)) + message[4:]


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _sum(data: bytes) -> int:
    words: tuple[int, ...] = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
