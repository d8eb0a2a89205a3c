"""Running a confined program from a loop: what it says is read as it comes, and it is gone when the call ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

import trio

from image_registry.conversion.confinement import Limits, confined, without_network
from store.core.child import ended
from store.core.errors import RetryableError

_READ_BYTES = 1 << 16
SAID_MAX = 1 << 20
"""Bytes of its output that are kept, the last ones."""


class Done(NamedTuple):
    code: int
    """Below 0: the signal that ended it."""
    said: bytes
    errors: bytes


async def run(
    command: list[str],
    limits: Limits,
    *,
    folder: str,
    descriptors: Sequence[int] = (),
    heard: Callable[[bytes], None] = lambda _: None,
) -> Done:
    """`heard` is given what it said so far, its last part. Raises RetryableError where it cannot be started, or its
    time is over."""
    namespaces = await trio.to_thread.run_sync(without_network)
    process = _start(confined(command, limits, namespaces), folder, tuple(descriptors))
    said, errors = bytearray(), bytearray()
    try:
        with trio.move_on_after(limits.seconds) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, process.stdout, said, heard)
                nursery.start_soon(_read, process.stderr, errors, lambda _: None)
            await ended(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True), process:
            await ended(process)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
    if scope.cancelled_caught:
        raise RetryableError(f"{command[0]} took longer than {limits.seconds} seconds")
    return Done(process.returncode, bytes(said), bytes(errors))


def _start(command: list[str], folder: str, descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """From the loop's own thread, though it takes some milliseconds: the child is killed with the thread that started
    it, and those of a pool come and go."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise RetryableError(f"{command[0]} cannot be started: {error.strerror}") from error


async def _read(pipe: IO[bytes] | None, said: bytearray, heard: Callable[[bytes], None]) -> None:
    assert pipe is not None
    async with trio.lowlevel.FdStream(os.dup(pipe.fileno())) as stream:
        while data := await stream.receive_some(_READ_BYTES):
            said += data
            del said[:-SAID_MAX]
            heard(bytes(said[-_READ_BYTES:]))
