"""Runs the processes of a data folder, one of which serves it as ever, the others as workers beside it.

Each is started again when it ends, whatever ended it, and all end with this one. A worker that is new joins the cluster
as any node does, with a token that the first process gives out.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

import structlog
import trio

from drystone.control_client import close_volumes, make_token, read_status, serving
from drystone.folder import DataFolder
from drystone.join_tokens import parse_token
from drystone.joining import Newcomer, join
from drystone.node_identity import NodeIdentity, find_identity
from drystone.service_manager import READY, SOCKET, STOPPING, notify
from drystone.worker_places import WorkerPlace, worker_places
from store.core.child import end, ended
from store.core.entropy import SystemRandom
from store.core.errors import DeviceError, DrystoneError
from store.core.network import SystemNetwork

STOP_SECONDS: Final = 30.0
"""For an orderly end of a process; then it is killed."""
VOLUMES_SECONDS: Final = 45.0
"""For volumes to be closed, before any process is told to end."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 10.0
"""Before one is started again; twice as long each time."""
STEADY_SECONDS: Final = 60.0
"""Who lived so long begins with the first pause again."""
LOOK_SECONDS: Final = 0.1
TOKEN_SECONDS: Final = 600
WHOLE_SECONDS: Final = 60.0
"""So long a start waits for all devices: one that is away must not keep the others from being used."""

log = structlog.get_logger()


class Supervised:
    """One process; `run` is its task, started when it serves. Raises DeviceError where it ends before that."""

    def __init__(self, number: int, folder: DataFolder, options: Sequence[str]) -> None:
        self._number = number
        self._folder = folder
        self._command = [
            # Nobody would look after it when this process is gone: it ends then, too, in order.
            *("setpriv", "--pdeathsig", "TERM", "--"),
            *(sys.executable, "-m", "drystone", "--data", folder.path, "up", "--process", str(number), *options),
        ]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        pause, serves = FIRST_PAUSE_SECONDS, False
        while True:
            began = trio.current_time()
            process = self._start()
            try:
                if not serves:
                    serves = await self._serves(process)
                    task_status.started()
                status = await ended(process)
            finally:
                await end(process, STOP_SECONDS)
            if trio.current_time() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("a process ended", process=self._number, status=status, again_s=pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        """By the thread that runs trio, not by a worker thread: the signal of PR_SET_PDEATHSIG comes when the thread
        ends that started the child. A session of its own: Ctrl-C in a terminal is for this process alone."""
        environment = {name: value for name, value in os.environ.items() if name != SOCKET}  # that is for this one
        return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)

    async def _serves(self, process: subprocess.Popen[bytes]) -> bool:
        """True, when it does. Raises DeviceError where it has ended."""
        while not await trio.to_thread.run_sync(serving, self._folder):
            if process.poll() is not None:
                raise DeviceError(f"process {self._number} did not start: see what it said above")
            await trio.sleep(LOOK_SECONDS)
        return True


async def supervise(
    folder: DataFolder, identity: NodeIdentity, count: int, options: Sequence[str], on_serving: Callable[[], None]
) -> None:
    """Run `count` processes until SIGTERM or SIGINT comes. `options` are those of `up`, for each of them; `on_serving`
    is called when all serve. Raises DrystoneError where they cannot."""
    places = worker_places(folder, identity, count)
    first = Supervised(1, folder, ["--processes", str(count), *options])
    workers = trio.CancelScope()

    async def stop_at_signal() -> None:
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            notify(STOPPING)
            nursery.start_soon(end_workers)

    async def end_workers() -> None:
        with trio.move_on_after(VOLUMES_SECONDS):
            await _close_volumes(folder)
        workers.cancel()

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_at_signal)
            # They end before the first does, which may have the registry; and behind its volumes, which need theirs.
            with workers:
                await nursery.start(first.run)
                async with trio.open_nursery() as beside:
                    for place in places:
                        await _join_once(folder, identity, place)
                        await beside.start(Supervised(place.number, place.folder, options).run)
                    await _wait_for_devices(folder)
                    on_serving()
                    notify(READY)
                    await trio.sleep_forever()
            nursery.cancel_scope.cancel()


async def _close_volumes(folder: DataFolder) -> None:
    """Have the first process close its volumes, if it runs."""
    try:
        await trio.to_thread.run_sync(close_volumes, folder, abandon_on_cancel=True)
    except (DrystoneError, OSError) as error:
        log.info("volumes are not closed: the first process does not answer", why=str(error))


async def _join_once(folder: DataFolder, identity: NodeIdentity, place: WorkerPlace) -> None:
    """A worker that is new becomes a node."""
    if find_identity(place.folder) is not None:
        return
    line = await trio.to_thread.run_sync(make_token, folder, TOKEN_SECONDS, place.name)
    words = shlex.split(line)
    token = parse_token(words[words.index("--token") + 1])
    newcomer = Newcomer(place.name, place.address, identity.region, identity.zone, identity.machine, replace=True)
    await join(place.folder, identity.address, token, newcomer, SystemNetwork(), SystemRandom())


async def _wait_for_devices(folder: DataFolder) -> None:
    """Until all devices that are not out serve, or have had time to."""
    with trio.move_on_after(WHOLE_SECONDS):
        while True:
            try:
                devices = (await trio.to_thread.run_sync(read_status, folder))["devices"]
            except (DrystoneError, OSError, json.JSONDecodeError) as error:
                log.info("no status yet", why=str(error))
            else:
                if all(device["state"] in ("ok", "full") for device in devices):
                    return
            await trio.sleep(LOOK_SECONDS)
    log.warning("not all devices can be used: see 'drystone status'")
