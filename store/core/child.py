"""Processes that this one has started."""

from __future__ import annotations

import os
import subprocess

import trio


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Waits for its end. Its status; below 0 the signal that ended it."""
    if process.returncode is None:
        descriptor = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    return process.wait()


async def end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Have it end in order, and kill it when it has not after so many seconds. Not to be cancelled."""
    with trio.CancelScope(shield=True):
        process.terminate()
        with trio.move_on_after(patience_s):
            await ended(process)
        process.kill()
        await ended(process)
