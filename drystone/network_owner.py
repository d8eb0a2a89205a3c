"""Whose wiring of networks a machine has: that of one cloud, and of one process at a time.

What is wired stays when the process ends, so another cloud's that starts meanwhile must not take it for leftovers of
its own. It is asked whose it is (a file among those of the services), and leaves it alone.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from compute_plugin.networks.plan.names import is_our_space, is_ours

LOCK: Final = "\0drystone-networks"
"""An abstract socket: there is one in each network namespace, and it goes with the process."""
SPACES: Final = "/run/netns"
FILE: Final = "cloud"


def lock_host() -> socket.socket | None:
    """Held as long as it is open; None where another process wires networks in this network namespace."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        held.bind(LOCK)
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return held


def owned_by_another(run: str, cloud: str) -> bool:
    """Whether something is wired here, and for another cloud than the one with this id. `run`: the services' folder."""
    try:
        with open(os.path.join(run, FILE), encoding="ascii") as file:
            owner = file.read().strip()
    except FileNotFoundError:
        return False
    return owner != cloud and _is_wired()


def own(run: str, cloud: str) -> None:
    """It is this cloud's from now on. Raises OSError."""
    os.makedirs(run, exist_ok=True)
    path = os.path.join(run, FILE)
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(f"{cloud}\n")
    os.replace(f"{path}.new", path)


def _is_wired() -> bool:
    if any(is_ours(name) for _, name in socket.if_nameindex()):
        return True
    return os.path.isdir(SPACES) and any(is_our_space(name) for name in os.listdir(SPACES))
