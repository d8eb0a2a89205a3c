"""What systemd is told (`Type=notify`): that the start is over, and that the end has begun.

A datagram to the socket that $NOTIFY_SOCKET names, as sd_notify(3) describes; without that nobody is told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

SOCKET = "NOTIFY_SOCKET"
READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, where there is one. One that does not listen is not waited for."""
    name = environment.get(SOCKET, "")
    if name[:1] not in ("/", "@"):
        return
    address = "\0" + name[1:] if name[0] == "@" else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return
