"""Noticing what others do to the host: the kernel's events, of links and of rules, of the host and of each namespace.

At rest this costs nothing. What was changed is not asked here: only which space is to be read again.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Final

import trio

from compute_plugin.networks.agent.netlink import messages as nl
from compute_plugin.networks.agent.netlink.dump import AF_BRIDGE, LINK_HEADER, NEIGHBOUR_HEADER, PERMANENT, STATIC
from compute_plugin.networks.agent.netlink.sockets import Sockets
from compute_plugin.networks.plan.ruleset import TABLE

_DATAGRAM: Final = 1 << 18
_NEIGHBOUR: Final = (28, 29)
_LINK: Final = (16, 17)
_ADDRESS: Final = (20, 21)
_GENERATION: Final = 15
"""What nf_tables tells at the end of a transaction; of no table."""
_NF_TABLES: Final = 10
_RULES_HEADER: Final = 4


async def follow_links(sockets: Sockets, matters: Callable[[int, str], bool], changed: Callable[[], None]) -> None:
    """Call `changed` whenever links, addresses, routes or static entries have changed, for ever. `matters`: whether a
    link does, by its index and its name ("" where the event does not say)."""
    while True:
        datagram = await _next(sockets.changes)
        if datagram is None or any(_concerns(message, matters) for message in nl.messages(datagram)):
            changed()


def forget_links(sockets: Sockets) -> None:
    """Events of links that have come by now: who reads the links next sees all that they tell of."""
    while True:
        try:
            sockets.changes.recv(_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


async def follow_rules(sockets: Sockets, changed: Callable[[int | None], None]) -> None:
    """Call `changed` whenever a table called as ours are has changed, with the number of the process that did it; None
    where that is not known. For ever."""
    while True:
        _tell(await _next(sockets.rules), changed)


def heard_of_rules(sockets: Sockets, changed: Callable[[int | None], None]) -> None:
    """The same, of all that has been told by now."""
    while True:
        try:
            datagram: bytes | None = sockets.rules.recv(_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            datagram = None
        _tell(datagram, changed)


def _tell(datagram: bytes | None, changed: Callable[[int | None], None]) -> None:
    if datagram is None:
        changed(None)
    else:
        for sender in {message.sender for message in nl.messages(datagram) if _is_ours(message)}:
            changed(sender)


async def _next(events: socket.socket) -> bytes | None:
    """A datagram; None where some were lost."""
    while True:
        await trio.lowlevel.checkpoint_if_cancelled()
        await trio.lowlevel.wait_readable(events)
        try:
            return events.recv(_DATAGRAM)
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return None


def _is_ours(message: nl.Message) -> bool:
    """The first attribute of each message of nf_tables is the name of the table, but for the last one."""
    kind, family = message.type & 0xFF, message.type >> 8
    if family != _NF_TABLES or kind == _GENERATION:
        return False
    return nl.text(nl.attributes(message.body, _RULES_HEADER).get(1, b"")) == TABLE


def _concerns(message: nl.Message, matters: Callable[[int, str], bool]) -> bool:
    if message.type in _NEIGHBOUR:
        if message.body[0] != AF_BRIDGE:
            return False
        _, index, state, _, _ = NEIGHBOUR_HEADER.unpack_from(message.body)
        return bool(state & (STATIC | PERMANENT)) and matters(index, "")
    if message.type in _LINK:
        index = LINK_HEADER.unpack_from(message.body)[2]
        held = nl.attributes(message.body, LINK_HEADER.size)
        return matters(index, nl.text(held.get(3, b""))) or matters(nl.number(held.get(10, b"")) or -1, "")
    if message.type in _ADDRESS:
        return matters(struct.unpack_from("=I", message.body, 4)[0], "")
    return True
