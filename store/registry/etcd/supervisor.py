"""Runs a member of etcd as a child process, for as long as we run: started again when it dies, ended with us."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from store.core.child import end, ended
from store.core.errors import DeviceError
from store.registry.etcd.endpoint import Endpoint, ping
from store.registry.etcd.member import Member
from store.registry.interface import OutcomeUnknownError, UnavailableError

STOP_SECONDS: Final = 10.0
"""For an orderly end, which hands the leader's part to another member; then it is killed."""

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 30.0
"""Before it is started again; twice as long each time."""

STEADY_SECONDS: Final = 60.0
"""Who lived so long begins with the first pause again."""

READY_PAUSE_SECONDS: Final = 0.2

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""A log above this is put aside at the next start; one that was put aside before is dropped."""

log = structlog.get_logger()


class Supervisor:
    """See module; `run` is its task."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.process: subprocess.Popen[bytes] | None = None
        """The child, while there is one."""
        self.starts = 0

    async def run(self) -> None:
        """Until cancelled; the child has ended when this returns. Raises DeviceError where it cannot be started at
        all."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            begun = trio.current_time()
            async with running(self.member) as process:
                self.process, self.starts = process, self.starts + 1
                try:
                    status = await ended(process)
                finally:
                    self.process = None
            if trio.current_time() - begun >= STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("etcd ended", member=self.member.name, status=status, log=self.member.log_path(), again_s=pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)


@asynccontextmanager
async def running(member: Member, *, alone: bool = False) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The child, while the block runs; then it is ended. `alone`: see Member. Raises DeviceError where it cannot be
    started.

    It has a session of its own, so that Ctrl-C in a terminal is for us alone, who end it in order. It is started by the
    thread that runs trio, not by a worker thread: the signal of PR_SET_PDEATHSIG comes when the thread ends that
    started the child, and worker threads end when they are idle.
    """
    if shutil.which("etcd") is None:
        raise DeviceError("there is no program etcd: install the package etcd-server")
    try:
        process = _start(member, alone)
    except OSError as error:
        raise DeviceError(f"etcd cannot be started with {member.data}: {error}") from error
    try:
        yield process
    finally:
        await end(process, STOP_SECONDS)


async def ready(endpoint: Endpoint) -> None:
    """Returns when the member serves: it knows a leader and a quorum. Without end where it never does: bound it."""
    while True:
        try:
            await ping(endpoint)
        except (UnavailableError, OutcomeUnknownError):
            await trio.sleep(READY_PAUSE_SECONDS)
        else:
            return


def _start(member: Member, alone: bool) -> subprocess.Popen[bytes]:
    os.makedirs(member.data, mode=0o700, exist_ok=True)
    _put_aside(member.log_path())
    with open(member.log_path(), "ab", opener=_private) as file:
        return subprocess.Popen(
            member.command(alone=alone), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def _put_aside(path: str) -> None:
    if os.path.exists(path) and os.path.getsize(path) > LOG_BYTES_MAX:
        os.replace(path, path + ".1")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
