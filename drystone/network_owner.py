"""Whose wiring of networks a machine has: that of one cloud, and of one process at a time.

What is wired stays when the process ends, so another cloud's that starts meanwhile must not take it for leftovers of
its own. It is asked whose it is (a file among those of the services), and leaves it alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
from functools import partial
from typing import BinaryIO, Final

from compute_plugin.networks.plan.names import is_our_space, is_ours

LOCK: Final = "lock"
"""A file that only root can lock; the lock goes with the process."""
SPACES: Final = "/run/netns"
FILE: Final = "cloud"


def lock_host(run: str) -> BinaryIO | None:
    """Held as long as it is open; None where another process wires this machine. `run`: the services' folder. Raises
    OSError."""
    os.makedirs(run, exist_ok=True)
    held = open(os.path.join(run, LOCK), "ab", opener=partial(os.open, mode=0o600))  # noqa: SIM115 - held
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    return held


def owned_by_another(run: str, cloud: str) -> bool:
    """Whether something is wired here, and for another cloud than the one with this id. `run`: the services' folder."""
    try:
        with open(os.path.join(run, FILE), encoding="ascii") as file:
            owner = file.read().strip()
    except FileNotFoundError:
        return False
    return owner != cloud and is_wired()


def own(run: str, cloud: str) -> None:
    """It is this cloud's from now on. Raises OSError."""
    os.makedirs(run, exist_ok=True)
    path = os.path.join(run, FILE)
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(f"{cloud}\n")
    os.replace(f"{path}.new", path)


def is_wired() -> bool:
    """Whether there is anything here that is called as ours is."""
    if any(is_ours(name) for _, name in socket.if_nameindex()):
        return True
    return os.path.isdir(SPACES) and any(is_our_space(name) for name in os.listdir(SPACES))
