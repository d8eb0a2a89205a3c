"""Opening a device that is a folder of this machine, with an eye on its index.

LMDB has no checksums, and on some corrupt pages it aborts the whole process. So while a device is open a file `in-use`
lies in its folder; where one is found at a start, the process before has died, and perhaps of the index: a child
process walks it first (`index_walk`). If the child dies, the index is set aside and made anew from the log, and the
device is not in sync until it has rejoined.

A start must take seconds, so the first walk after a clean end is cut short after WALK_SECONDS. A process that dies
again is walked in full: by then the index is under suspicion, and a crash loop is worse than a slow start. The file
holds how often in a row that was, and `broken` where the index was found corrupt while the device served.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from functools import partial

import structlog
import trio

from drystone.device_folder import find_superblock
from store.core.clock import SystemClock
from store.core.disk import SystemDisk
from store.core.errors import ConflictError, DamageError, DeviceError
from store.engine.device import Device
from store.engine.index import LmdbIndex
from store.engine.opening import open_device
from store.engine.options import Options

log = structlog.get_logger()

LOOK_SECONDS = 10.0
WALK_SECONDS = 5.0
_BROKEN = "broken"


class _InUse:
    """The file that says whether a device was closed in order."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "in-use")

    def read(self) -> str:
        """What it holds; empty where there is none."""
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                return file.read(20)
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        with open(self._path, "w", encoding="ascii") as file:
            file.write(text)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path)


async def open_local_device(
    number: int, cluster: bytes, path: str, stack: ExitStack, options: Options | None = None
) -> Device:
    """Open the device in a folder of this machine. A damaged index is set aside and rebuilt from the log.

    Raises DeviceError where there is no such device, ConflictError where another process has it.
    """
    # Asked first and in a thread: a folder without a device must stay as it is, and a disk that hangs must not hold us.
    with trio.move_on_after(LOOK_SECONDS) as looking:
        await trio.to_thread.run_sync(find_superblock, path, abandon_on_cancel=True)
    if looking.cancelled_caught:
        raise DeviceError(f"{path} did not answer within {LOOK_SECONDS:.0f} s")
    try:
        disk = SystemDisk(path)
    except BlockingIOError as error:
        raise ConflictError(f"the device in {path} is open in another process") from error
    stack.callback(disk.close)
    index = os.path.join(path, "index")
    os.makedirs(index, mode=0o700, exist_ok=True)
    in_use = _InUse(path)
    before = in_use.read()
    times = int(before) if before.isdecimal() else 0
    trouble = await _examine(index, before, times)
    if trouble:
        _set_aside(number, index, trouble)
    in_use.write(str(times + 1 if times < 2 else 1))  # a full walk came to its end: nothing is suspected any more
    opening = partial(open_device, number, cluster, disk, lambda: LmdbIndex(index), options)
    try:
        device = await opening()
    except DamageError as error:
        _set_aside(number, index, str(error))
        device = await opening()
    stack.callback(_leave, device, in_use)
    return device


def _leave(device: Device, in_use: _InUse) -> None:
    """A device that was not closed in order is looked at by the next start."""
    if device.health.broken_index:
        in_use.write(_BROKEN)
    elif device.closed:
        in_use.remove()


async def _examine(index: str, before: str, times: int) -> str:
    """Why the index must not be opened; empty if nothing speaks against it."""
    if not before:
        return ""
    if before == _BROKEN:
        return "it was found corrupt by the process before"
    with trio.move_on_after(WALK_SECONDS if times < 2 else float("inf")):
        walk = [sys.executable, "-m", "drystone.index_walk", index]
        done = await trio.run_process(walk, check=False, capture_stdout=True, capture_stderr=True)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            return f"walking it ended with {done.returncode}: {said[-1] if said else ''}"
    return ""


def _set_aside(number: int, index: str, why: str) -> None:
    aside = f"{index}.damaged-{SystemClock().wall_us()}"
    log.error("index is damaged: it is rebuilt from the log", device=number, why=why, kept_as=aside)
    os.replace(index, aside)
    os.makedirs(index, mode=0o700)
