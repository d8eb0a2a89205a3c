"""Links, addresses, routes and forwarding entries of a namespace, read from one netlink socket."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from compute_plugin.networks.agent.netlink import messages as nl
from compute_plugin.networks.agent.seen import SeenLink
from compute_plugin.networks.plan.wiring import BridgePort, Route

GET_LINK: Final = 18
GET_ADDRESS: Final = 22
GET_ROUTE: Final = 26
GET_NEIGHBOUR: Final = 30
LINK_HEADER: Final = struct.Struct("=BxHiII")
ADDRESS_HEADER: Final = struct.Struct("=BBBBI")
ROUTE_HEADER: Final = struct.Struct("=BBBBBBBBI")
NEIGHBOUR_HEADER: Final = struct.Struct("=BxxxiHBB")
AF_BRIDGE: Final = 7
UP: Final = 1
STATIC: Final = 0x40
PERMANENT: Final = 0x80
_SELF: Final = 2
_MAIN: Final = 254
_BY_KERNEL: Final = 2
_UNICAST: Final = 1
_ADDRESS_MODE_NONE: Final = 1
_RECEIVE: Final = 1 << 18
_EXTRA_MASK: Final = 29
_SKIP_COUNTERS: Final = 8
_MAC_ALONE: Final = NEIGHBOUR_HEADER.size + 12
"""The length of an entry that says nothing but a MAC."""


class Dump:
    """Asks one socket. Raises OSError where the kernel refuses."""

    def __init__(self, asked: socket.socket) -> None:
        self._socket = asked
        self._sequence = 0

    def links(self) -> dict[str, SeenLink]:
        """By names, with their addresses, and with what bridges and VXLANs are told to find behind them."""
        without_counters = nl.attribute(_EXTRA_MASK, struct.pack("=I", _SKIP_COUNTERS))
        asked = LINK_HEADER.pack(0, 0, 0, 0, 0) + without_counters
        found = [_link(body) for body in self._ask(GET_LINK, asked)]
        names = {one["index"]: one["name"] for _, _, one in found}
        macs, remotes = self._entries()
        addresses = self._addresses()
        whole: dict[str, SeenLink] = {}
        for master, below, one in found:
            index, kind = one["index"], one["kind"]
            if kind == "vlan":
                one = one | {"details": (names.get(below, ""), *one["details"])}
            whole[one["name"]] = SeenLink(
                peer=below if kind == "veth" else 0,
                master=names.get(master),
                macs=frozenset(macs.get(index, ())),
                remotes=frozenset(remotes.get(index, ())),
                addresses=frozenset(addresses.get(index, ())),
                **one,
            )
        return whole

    def routes(self, names: dict[int, str]) -> frozenset[Route]:
        """Of the main table, made by somebody."""
        found = set()
        for body in self._ask(GET_ROUTE, ROUTE_HEADER.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, length, _, _, table, protocol, _, type_, _ = ROUTE_HEADER.unpack_from(body)
            if table != _MAIN or protocol == _BY_KERNEL or type_ != _UNICAST:
                continue
            held = nl.attributes(body, ROUTE_HEADER.size)
            everything = nl.ip(bytes(4)) if family == socket.AF_INET else "::"
            to = nl.ip(held[1]) if 1 in held else everything
            via = nl.ip(held[5]) if 5 in held else ""
            found.add(Route(f"{to}/{length}", via, names.get(nl.number(held.get(4, b"")), "")))
        return frozenset(found)

    def _addresses(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for body in self._ask(GET_ADDRESS, ADDRESS_HEADER.pack(0, 0, 0, 0, 0)):
            _, length, _, _, index = ADDRESS_HEADER.unpack_from(body)
            held = nl.attributes(body, ADDRESS_HEADER.size)
            value = held.get(2) or held.get(1)
            if value is not None:
                found.setdefault(index, set()).add(f"{nl.ip(value)}/{length}")
        return found

    def _entries(self) -> tuple[dict[int, set[str]], dict[int, set[tuple[str, str]]]]:
        macs: dict[int, set[str]] = {}
        remotes: dict[int, set[tuple[str, str]]] = {}
        for body in self._ask(GET_NEIGHBOUR, LINK_HEADER.pack(AF_BRIDGE, 0, 0, 0, 0)):
            _, index, state, flags, _ = NEIGHBOUR_HEADER.unpack_from(body)
            if not flags & _SELF and (not state & STATIC or state & PERMANENT):
                continue
            if flags & _SELF and len(body) <= _MAC_ALONE:
                continue  # multicast that a link listens to; some for each port
            held = nl.attributes(body, NEIGHBOUR_HEADER.size)
            if 2 not in held:
                continue
            if flags & _SELF and 1 in held:
                remotes.setdefault(index, set()).add((nl.mac(held[2]), nl.ip(held[1])))
            elif not flags & _SELF:
                macs.setdefault(index, set()).add(nl.mac(held[2]))
        return macs, remotes

    def _ask(self, type_: int, body: bytes) -> Iterator[bytes]:
        self._sequence += 1
        self._socket.send(nl.request(type_, self._sequence, body))
        while True:
            for message in nl.messages(self._socket.recv(_RECEIVE)):
                if message.sequence != self._sequence:
                    continue
                if message.type == nl.DONE:
                    return
                if message.type == nl.ERROR:
                    number = -struct.unpack_from("=i", message.body)[0]
                    raise OSError(number, os.strerror(number))
                yield message.body


@lru_cache(maxsize=8192)
def _link(body: bytes) -> tuple[int, int, dict[str, Any]]:
    """The indexes of its master and of what it belongs to, and what else there is in a `SeenLink`. Without counters
    the kernel says the same each time of a link that is as it was."""
    _, _, index, flags, _ = LINK_HEADER.unpack_from(body)
    held = nl.attributes(body, LINK_HEADER.size)
    info = nl.attributes(held.get(18, b""))
    kind = nl.text(info.get(1, b""))
    data = nl.attributes(info.get(2, b""))
    slave = nl.attributes(info.get(5, b"")) if nl.text(info.get(4, b"")) == "bridge" else {}
    inet6 = nl.attributes(nl.attributes(held.get(26, b"")).get(socket.AF_INET6, b""))
    seen = {
        "name": nl.text(held.get(3, b"")),
        "index": index,
        "kind": kind,
        "details": _details(kind, data),
        "mac": nl.mac(held.get(1, b"")),
        "mtu": nl.number(held.get(4, b"")),
        "up": bool(flags & UP),
        "port": BridgePort(_flag(slave, 8), _flag(slave, 9), _flag(slave, 33)),
        "quiet": nl.number(inet6.get(8, b"")) == _ADDRESS_MODE_NONE,
    }
    return nl.number(held.get(10, b"")), nl.number(held.get(5, b"")), seen


def _details(kind: str, data: dict[int, bytes]) -> tuple[Any, ...]:
    match kind:
        case "vxlan":
            local = nl.ip(data.get(4) or data.get(17) or b"")
            return nl.number(data.get(1, b"")), local, int.from_bytes(data.get(15, b""), "big")
        case "vlan":
            return (nl.number(data.get(1, b"")),)
        case "bridge":
            return (_flag(data, 36) and _flag(data, 37),)
    return ()


def _flag(held: dict[int, bytes], type_: int) -> bool:
    return nl.number(held.get(type_, b"")) != 0
