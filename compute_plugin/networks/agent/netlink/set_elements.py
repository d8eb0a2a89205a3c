"""One element of a set of nftables that the kernel takes away after a while: put there anew, or taken away.

Told to the kernel by this process itself: between the time that is left and its being so is nothing that could wait.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

from compute_plugin.networks.agent.netlink import messages as nl

_HEADER: Final = struct.Struct("=IHHII")
_FAMILY: Final = struct.Struct("!BBH")
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NF_TABLES: Final = 10
_NEW, _DELETE = (_NF_TABLES << 8) | 12, (_NF_TABLES << 8) | 14
_REQUEST, _ACK, _CREATE = 1, 4, 0x400
_BRIDGE: Final = 7
_NESTED: Final = 0x8000
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ITEM, _KEY, _VALUE, _TIMEOUT = 1, 1, 1, 4
_ROOM: Final = 1 << 16


def put(asked: socket.socket, table: str, name: str, key: bytes, timeout_ms: int) -> None:
    """In a set of a table of the family bridge, whether it is there or not. Raises OSError."""
    take, give = (_DELETE, _element(table, name, key, None)), (_NEW, _element(table, name, key, timeout_ms))
    if _told(asked, take, give) == errno.ENOENT:
        _raise(_told(asked, give))


def take(asked: socket.socket, table: str, name: str, key: bytes) -> None:
    """Nothing where it is not there. Raises OSError."""
    error = _told(asked, (_DELETE, _element(table, name, key, None)))
    _raise(0 if error == errno.ENOENT else error)


def _raise(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))


def _told(asked: socket.socket, *changes: tuple[int, bytes]) -> int:
    """In one transaction; the error of the first that was refused, or 0."""
    whole = _message(_BATCH_BEGIN, 0, _FAMILY.pack(0, 0, _NF_TABLES), 0)
    for number, (type_, body) in enumerate(changes, 1):
        flags = _ACK | (_CREATE if type_ == _NEW else 0)
        whole += _message(type_, flags, _FAMILY.pack(_BRIDGE, 0, 0) + body, number)
    whole += _message(_BATCH_END, 0, _FAMILY.pack(0, 0, _NF_TABLES), len(changes) + 1)
    asked.send(whole)
    errors: dict[int, int] = {}
    while len(errors) < len(changes):
        try:
            datagram = asked.recv(_ROOM, socket.MSG_DONTWAIT)  # the kernel has done all of it by now
        except BlockingIOError:
            break
        for message in nl.messages(datagram):
            if message.type == nl.ERROR:
                errors[message.sequence] = -struct.unpack_from("=i", message.body)[0]
    return next((error for _, error in sorted(errors.items()) if error), 0)


def _message(type_: int, flags: int, body: bytes, sequence: int) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), type_, _REQUEST | flags, sequence, 0) + body


def _element(table: str, name: str, key: bytes, timeout_ms: int | None) -> bytes:
    item = nl.attribute(_KEY | _NESTED, nl.attribute(_VALUE, key))
    if timeout_ms is not None:
        item += nl.attribute(_TIMEOUT, struct.pack("!Q", timeout_ms))
    return (
        nl.attribute(_TABLE, table.encode() + b"\0")
        + nl.attribute(_SET, name.encode() + b"\0")
        + nl.attribute(_ELEMENTS | _NESTED, nl.attribute(_ITEM | _NESTED, item))
    )
