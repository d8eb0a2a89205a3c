"""What a guest said on its serial console, as its hypervisor wrote it into the guest's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LOG: Final = "console.log"
LAST_BYTES: Final = 256 << 10


def read_console_log(folder: str) -> bytes:
    """The last part of it: 256 KiB, where there is so much. b"" for nothing. Blocks for a moment.

    A file that has grown long (2 MiB for libvirt's virtlogd) is put aside as `console.log.0`, and a new one begun.
    """
    log = Path(folder) / LOG
    last = _tail(log, LAST_BYTES)
    if len(last) < LAST_BYTES:
        last = _tail(log.with_name(f"{LOG}.0"), LAST_BYTES - len(last)) + last
    return last


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            return file.read(size)
    except FileNotFoundError:
        return b""
