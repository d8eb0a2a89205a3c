"""Which opening of a device its folder has seen last, so that an older copy of the folder is told from it.

Whenever a device is opened, a new id is drawn; the registry and the device both keep it, before it serves. A copy that
was taken earlier, and put back since (a snapshot of the disk, the stale half of a mirror), has the id of an opening
before: it lacks what was written since, and is compared with all others before it is believed (`drystone.membership`).
A copy of the very opening that ended last is not told apart.

The registry has the next id beside the present one while the device is told: whichever of them a crash has left there
is believed.
"""

from __future__ import annotations

import os
from typing import Final

from drystone.device_copies import replace_durably
from drystone.folder import sync_folder

OPENING_BYTES: Final = 16
_NAME: Final = "opening"


def read_opening(path: str) -> bytes:
    """Empty in the folder of a device that has none yet. Blocks. Raises OSError."""
    try:
        with open(os.path.join(path, _NAME), "rb") as file:
            return file.read(OPENING_BYTES)
    except FileNotFoundError:
        return b""


def write_opening(path: str, opening: bytes) -> None:
    """Have it in the device's folder, durably. Blocks. Raises OSError."""
    replace_durably(path, _NAME, opening)
    sync_folder(path)


def is_stale(known: bytes, found: bytes) -> bool:
    """Whether a folder with the opening that was `found` is an older copy, as the registry says that `known` are those
    of the newest."""
    return bool(known) and found not in {known[:OPENING_BYTES], known[-OPENING_BYTES:]}
