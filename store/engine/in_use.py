"""In use: whether a device's index may be opened, which depends on how the process before came to its end.

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
from contextlib import suppress

import structlog
import trio

from store.core.clock import SystemClock

log = structlog.get_logger()

WALK_SECONDS = 5.0
_BROKEN = "broken"


class InUse:
    """The file that says whether a device was closed in order, and the index that depends on it."""

    def __init__(self, number: int, folder: str) -> None:
        self._number = number
        self._path = os.path.join(folder, "in-use")
        self.index = os.path.join(folder, "index")
        """The folder of the index."""

    async def begin(self) -> None:
        """The device is about to be opened. An index that must not be is set aside before."""
        os.makedirs(self.index, mode=0o700, exist_ok=True)
        before = self._read()
        times = int(before) if before.isdecimal() else 0
        trouble = await self._examine(before, times)
        if trouble:
            self.set_aside(trouble)
        # After a full walk that came to its end nothing is suspected any more.
        self._write(str(times + 1 if times < 2 else 1))

    def end(self, *, in_order: bool, broken_index: bool) -> None:
        """It is not open any more. One that was not closed in order is looked at by the next start."""
        if broken_index:
            self._write(_BROKEN)
        elif in_order:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def set_aside(self, why: str) -> None:
        """Begin with an empty index. Blocks."""
        aside = f"{self.index}.damaged-{SystemClock().wall_us()}"
        log.error("index is damaged: it is rebuilt from the log", device=self._number, why=why, kept_as=aside)
        os.replace(self.index, aside)
        os.makedirs(self.index, mode=0o700)

    async def _examine(self, before: str, times: int) -> str:
        """Why the index must not be opened; empty if nothing speaks against it."""
        if not before:
            return ""
        if before == _BROKEN:
            return "it was found corrupt by the process before"
        with trio.move_on_after(WALK_SECONDS if times < 2 else float("inf")):
            walk = [sys.executable, "-m", "store.engine.index_walk", self.index]
            done = await trio.run_process(walk, check=False, capture_stdout=True, capture_stderr=True)
            if done.returncode:
                said = done.stderr.decode(errors="replace").strip().splitlines()
                return f"walking it ended with {done.returncode}: {said[-1] if said else ''}"
        return ""

    def _read(self) -> str:
        """What the file holds; empty where there is none."""
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:
                return file.read(20)
        except FileNotFoundError:
            return ""

    def _write(self, text: str) -> None:
        with open(self._path, "w", encoding="ascii") as file:
            file.write(text)
