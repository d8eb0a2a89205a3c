"""A DHCPv6 client that asks once, octet by octet (RFC 8415)."""

from __future__ import annotations

import socket
import struct

import trio

from tests.networks_agent.cloud import Guest
from tests.networks_agent.frames import octets

SERVERS = "ff02::1:2"
SOLICIT, ADVERTISE = 1, 2
CLIENT_ID, IA_NA, IA_ADDRESS, ELAPSED, DNS = 1, 3, 5, 8, 23
TRANSACTION = b"\x01\x02\x03"


async def offered(guest: Guest, seconds: float = 1) -> dict[int, bytes]:
    """Options of what a server offers, by their numbers; {} where none does."""
    asking = await guest.bound("::", 546)
    asking.setsockopt(
        socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, guest.opened(lambda: socket.if_nametoindex("eth0"))
    )
    own = struct.pack("!HH", 3, 1) + octets(guest.port.mac)  # a DUID of the MAC alone
    wanted = _option(CLIENT_ID, own) + _option(IA_NA, struct.pack("!III", 1, 0, 0)) + _option(ELAPSED, bytes(2))
    with asking, trio.move_on_after(seconds):
        await asking.sendto(bytes([SOLICIT]) + TRANSACTION + wanted, (SERVERS, 547))
        while True:
            said = await asking.recv(4096)
            if said[:4] == bytes([ADVERTISE]) + TRANSACTION:
                return _options(said[4:])
    return {}


def address(options: dict[int, bytes]) -> str:
    """The one that is offered; "" for none."""
    inner = _options(options.get(IA_NA, bytes(12))[12:])
    return socket.inet_ntop(socket.AF_INET6, inner[IA_ADDRESS][:16]) if IA_ADDRESS in inner else ""


def _option(number: int, data: bytes) -> bytes:
    return struct.pack("!HH", number, len(data)) + data


def _options(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        number, length = struct.unpack_from("!HH", data)
        found[number] = data[4 : 4 + length]
        data = data[4 + length :]
    return found
