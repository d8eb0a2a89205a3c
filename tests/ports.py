"""Ports for processes that are told where to listen before they start."""

from __future__ import annotations

import socket
from random import SystemRandom
from typing import Final

FIRST: Final = 10_000
BEHIND: Final = 32_000
"""Below those that Linux gives to connections and to who listens at port 0 (`ip_local_port_range`): of those one can be
taken between the look and the listening."""


def free_port(in_a_row: int = 1) -> int:
    """The first of some ports of loopback at which nobody listens."""
    while True:
        first = SystemRandom().randrange(FIRST, BEHIND - in_a_row)
        try:
            for port in range(first, first + in_a_row):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def free_address(in_a_row: int = 1) -> str:
    """The same, as host and port."""
    return f"127.0.0.1:{free_port(in_a_row)}"
