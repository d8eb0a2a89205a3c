"""Messages of netlink: taken apart, and asked for. Pure."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

ROUTE: Final = 0
NETFILTER: Final = 12
"""Families of sockets."""
DONE: Final = 3
ERROR: Final = 2
REQUEST: Final = 1
DUMP: Final = 0x300

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NESTED: Final = 0x3FFF
"""Without the flags of an attribute's type."""


class Message(NamedTuple):
    """One message."""

    type: int
    sequence: int
    sender: int
    """Of an event: the number of the socket that caused it, which is that of its process, mostly."""
    body: bytes


def messages(data: bytes) -> Iterator[Message]:
    """All of one datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, type_, _, sequence, sender = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield Message(type_, sequence, sender, data[at + _HEADER.size : at + length])
        at += (length + 3) & ~3


def attributes(body: bytes, at: int = 0) -> dict[int, bytes]:
    """By their types, behind a header of `at` bytes. The last of several counts."""
    found: dict[int, bytes] = {}
    end = len(body)
    while at + 4 <= end:
        length, type_ = _ATTRIBUTE.unpack_from(body, at)
        if length < 4:
            break
        found[type_ & _NESTED] = body[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def attribute(type_: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), type_) + value + bytes(-len(value) % 4)


def request(type_: int, sequence: int, body: bytes) -> bytes:
    """Asks for all of a kind."""
    return _HEADER.pack(_HEADER.size + len(body), type_, REQUEST | DUMP, sequence, 0) + body


def number(value: bytes) -> int:
    """Of any width, in the machine's order."""
    return int.from_bytes(value, "little")


def text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def mac(value: bytes) -> str:
    return value.hex(":")


def ip(value: bytes) -> str:
    """Of either version; "" for what is none."""
    if len(value) == 4:
        return socket.inet_ntop(socket.AF_INET, value)
    return socket.inet_ntop(socket.AF_INET6, value) if len(value) == 16 else ""
