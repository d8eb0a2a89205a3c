"""The first process of a container, as the host sees it. pid_namespaces(7), proc(5)"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
POWER_OFF: Final = signal.SIGRTMIN + 4
"""To systemd, which begins itself anew for SIGTERM. systemd(1), "Signals" """


def ask_init_to_end(controller: int) -> bool:
    """`controller`: the process of libvirt that has begun the container, which is the domain's id. False where there is
    no first process any more."""
    with suppress(OSError):
        for child in map(int, (PROC / f"{controller}/task/{controller}/children").read_text().split()):
            process = PROC / str(child)
            if _is_first(process):
                is_systemd = (process / "comm").read_text().strip() == "systemd"
                os.kill(child, POWER_OFF if is_systemd else signal.SIGTERM)
                return True
    return False


def _is_first(process: Path) -> bool:
    """Whether it is number 1 in a namespace of its own."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return line.split()[2:] == ["1"]
    return False
