"""Telling others where an address of a router is now: it may have been at another router, or on another host.

Who has sent to it before would find out by himself, but only after half a minute.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import structlog

from compute_plugin.networks.agent.netlink.namespaces import within
from compute_plugin.networks.agent.steps import Address, Step
from compute_plugin.networks.plan.names import ROUTER_SPACES
from compute_plugin.networks.plan.wiring import Wiring

_ARP: Final = 0x0806
_EVERYBODY: Final = b"\xff" * 6
_REQUEST, _REPLY = 1, 2
_log = structlog.get_logger(__name__)


def announce(done: Iterable[Step], wiring: Wiring) -> None:
    """The addresses of IPv4 that routers have got by steps that were done."""
    given = [one for one in done if isinstance(one, Address) and one.there and one.space.startswith(ROUTER_SPACES)]
    macs = {(space.name, link.name): link.mac for space in wiring.spaces for link in space.links} if given else {}
    for one in given:
        mac = macs.get((one.space, one.name))
        address = one.address.partition("/")[0]
        if mac is None or ":" in address:
            continue
        try:
            within(one.space, partial(_send, one.name, mac, address))
        except OSError as error:  # such as a link that went just now
            _log.info("an address cannot be announced", space=one.space, address=address, error=str(error))


def _send(link: str, mac: str, address: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK) as sending:
        sending.bind((link, 0))
        for frame in frames(mac, address):
            sending.send(frame)


def frames(mac: str, address: str) -> Iterator[bytes]:
    """As a question and as an answer: some heed only one of them."""
    own, ip = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
    for operation in (_REQUEST, _REPLY):
        head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
        yield _EVERYBODY + own + struct.pack("!H", _ARP) + head + own + ip + _EVERYBODY + ip
