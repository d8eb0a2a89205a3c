"""The sockets of one namespace: one to ask, and two that tell of changes, whoever makes them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from typing import Final

from compute_plugin.networks.agent.netlink import messages as nl
from compute_plugin.networks.agent.netlink.namespaces import path, within

LINKS: Final = 1
NEIGHBOURS: Final = 3
ADDRESSES4: Final = 5
ROUTES4: Final = 7
ADDRESSES6: Final = 9
ROUTES6: Final = 11
RULES: Final = 7
"""The group of changes of nftables."""
_OF_HOST: Final = (LINKS, NEIGHBOURS, ADDRESSES4, ADDRESSES6)
_OF_SPACES: Final = (LINKS, ADDRESSES4, ADDRESSES6, ROUTES4, ROUTES6)
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_RECEIVE_BUFFER_FORCE: Final = 33
_BUFFER: Final = 16 << 20
_PATIENCE_S: Final = 10


class Sockets:
    """Of the host (""), or of a namespace. Raises OSError where there is none."""

    def __init__(self, space: str) -> None:
        self.space = space
        self.inode = inode(space)
        opened: list[socket.socket] = []

        def open_all() -> None:
            opened.append(_opened(nl.ROUTE, ()))
            opened.append(_opened(nl.ROUTE, _OF_SPACES if space else _OF_HOST))
            opened.append(_opened(nl.NETFILTER, (RULES,)))

        try:
            within(space, open_all)
        except OSError:
            for one in opened:
                one.close()
            raise
        self.asked, self.changes, self.rules = opened
        self.asked.settimeout(_PATIENCE_S)
        for one in (self.changes, self.rules):
            one.setblocking(False)

    def close(self) -> None:
        for one in (self.asked, self.changes, self.rules):
            one.close()


def inode(space: str) -> int:
    """Of a namespace: another number is another namespace. Raises OSError."""
    return os.stat(path(space) if space else "/proc/self/ns/net").st_ino


def _opened(family: int, groups: Iterable[int]) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    try:
        made.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER)
        made.bind((0, 0))
        for group in groups:
            made.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, struct.pack("=i", group))
    except OSError:
        made.close()
        raise
    return made
