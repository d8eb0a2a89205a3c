"""What a program may have that reads what a stranger made: bounded memory and time, no network, no file to write.

It sees the network of none where the system lets us make a namespace (as a user without rights: where user namespaces
are allowed); where not it keeps ours, and the rest holds. Sockets of Unix are found by their path, so those it reaches
either way. It may gain no rights, and is killed with the thread that started it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Final

_NAMESPACES: Final = (
    ("unshare", "--user", "--map-current-user", "--net", "--ipc", "--"),
    ("unshare", "--net", "--ipc", "--"),
)
_PROBE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run."""

    memory_bytes: int = 1 << 30
    """Of address space."""
    cpu_seconds: int | None = None
    file_bytes: int | None = 0
    """A file that it writes may be so long; 0: it writes none; None: any."""
    seconds: float = float("inf")
    """By the clock, until it is killed."""


LOOK: Final = Limits(cpu_seconds=60, seconds=120)
"""To look at an image."""
COPY: Final = Limits(memory_bytes=8 << 30, cpu_seconds=6 * 3600, seconds=24 * 3600)
"""To copy one: its threads have stacks, which are address space."""


def confined(command: list[str], limits: Limits, namespaces: tuple[str, ...] = ()) -> list[str]:
    """The command under `limits`; `namespaces` is what `without_network` found."""
    said = [f"--as={limits.memory_bytes}", "--core=0"]  # a core dump would have parts of the disk in it
    if limits.cpu_seconds is not None:
        said.append(f"--cpu={limits.cpu_seconds}")
    if limits.file_bytes is not None:
        said.append(f"--fsize={limits.file_bytes}")
    # The signal is asked for last: who enters a namespace loses it.
    return [*namespaces, "setpriv", "--no-new-privs", "--pdeathsig", "KILL", "--", "prlimit", *said, *command]


@cache
def without_network() -> tuple[str, ...]:
    """What a command is to begin with to have no network; nothing where that is not allowed. It is tried, which takes
    a few milliseconds, once."""
    for namespaces in _NAMESPACES:
        try:
            done = subprocess.run([*namespaces, "true"], capture_output=True, timeout=_PROBE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if not done.returncode:
            return namespaces
    return ()
