"""Snapshots of the registry that are kept in the folders of devices: one a day, the newest few of them.

They lie in `registry-snapshots/` of each device, by the revision of the registry, which never goes back. Every process
keeps them on its own devices, and asks the registry by itself: so whichever disks are lost, those that are left have
them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
import trio

from drystone.folder import sync_folder
from drystone.registry_snapshot import NEW, Snapshot, encode_snapshot, read_snapshot, take_snapshot, write_snapshot
from store.core.clock import Clock
from store.core.errors import DrystoneError, FullError, RetryableError
from store.engine.options import Options
from store.registry import Registry
from store.replicator.progress import Progress

log = structlog.get_logger()

FOLDER: Final = "registry-snapshots"
KEPT: Final = 7
DAY_SECONDS: Final = 86_400.0
FIRST_SECONDS: Final = 60.0
"""After a start, where none of the last day is there: whoever starts a cloud soon changes what it begins with."""
AGAIN_SECONDS: Final = 600.0
"""After a round that failed."""
WRITE_SECONDS: Final = 60.0
"""A device that takes longer hangs."""
BYTES_MAX: Final = 256 * 1024 * 1024
"""More is no small state any more, and is to be backed up in another way."""


class KeptSnapshots:
    """`run` it beside a process. `devices` gives the folders of those that serve."""

    def __init__(
        self,
        registry: Registry,
        cluster: bytes,
        clock: Clock,
        devices: Callable[[], Sequence[str]],
        progress: Progress,
    ) -> None:
        self._registry = registry
        self._cluster = cluster
        self._clock = clock
        self._devices = devices
        self._progress = progress
        self._newest_us: int | None = None

    def age_s(self) -> float | None:
        """Seconds since the newest that is kept here was taken; None where there is none."""
        return None if self._newest_us is None else max(0.0, (self._clock.wall_us() - self._newest_us) / 1e6)

    async def run(self) -> None:
        """Until cancelled."""
        look = partial(newest_kept, list(self._devices()), self._cluster)
        found = await trio.to_thread.run_sync(look, abandon_on_cancel=True)
        self._newest_us = found.taken_us if found is not None else None
        wait = FIRST_SECONDS
        while True:
            await trio.sleep(max(wait, self._due_s()))
            wait = 0.0 if await self.keep() else AGAIN_SECONDS

    def _due_s(self) -> float:
        age = self.age_s()
        return 0.0 if age is None else DAY_SECONDS - age

    async def keep(self) -> bool:
        """Have one on every device. Whether any took it; what fails is said."""
        try:
            snapshot = await take_snapshot(self._registry, self._cluster, self._clock)
        except RetryableError as error:
            self._failed("the registry gives no snapshot", error=str(error))
            return False
        packed = encode_snapshot(snapshot)
        if len(packed) > BYTES_MAX:
            self._failed("the registry is too large for snapshots on devices", bytes=len(packed), most=BYTES_MAX)
            return False
        kept = 0
        for path in self._devices():
            why = f"no answer in {WRITE_SECONDS:.0f} s"
            with trio.move_on_after(WRITE_SECONDS):
                try:
                    work = partial(keep_in, path, snapshot.revision, packed)
                    await trio.to_thread.run_sync(work, abandon_on_cancel=True)
                    kept, why = kept + 1, ""
                except (DrystoneError, OSError) as error:
                    why = str(error)
            if why:
                self._failed("a device takes no snapshot of the registry", path=path, error=why)
        if not kept:
            return False
        self._newest_us = snapshot.taken_us
        self._progress.done += 1
        if kept == len(self._devices()):
            self._progress.trouble = ""
        return True

    def _failed(self, event: str, **about: object) -> None:
        log.warning(event, **about)
        self._progress.failed += 1
        self._progress.trouble = f"{event}: {about.get('error', '')}".rstrip(": ")


def keep_in(device: str, revision: int, packed: bytes) -> None:
    """Have a snapshot in the folder of a device, and no more than the newest few. Blocks. Raises FullError where there
    is no room, DrystoneError, OSError."""
    folder = os.path.join(device, FOLDER)
    with suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)  # and not what is above it: its disk may be gone
    for name in os.listdir(folder):
        if name.endswith(NEW):
            os.unlink(os.path.join(folder, name))  # of a process that was killed
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < Options().reserve_bytes + len(packed):
        raise FullError(f"{device} is full: {free / 1e6:,.0f} MB are free")
    write_snapshot(os.path.join(folder, f"{revision:020d}"), packed)
    for path in kept_in(device)[KEPT:]:
        os.unlink(path)
    sync_folder(device)


def kept_in(device: str) -> list[str]:
    """The files of the snapshots that a device has, the newest first. Blocks. Raises OSError."""
    folder = os.path.join(device, FOLDER)
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder), reverse=True) if name.isdigit()]


def newest_kept(devices: Iterable[str], cluster: bytes) -> Snapshot | None:
    """The newest of a cluster's that can be read in any of these folders. Blocks."""
    newest: Snapshot | None = None
    for device in devices:
        try:
            paths = kept_in(device)
        except OSError as error:
            log.warning("snapshots of a device cannot be listed", path=device, error=str(error))
            continue
        for path in paths:
            try:
                found = read_snapshot(path)
            except DrystoneError as error:
                log.warning("a snapshot of the registry cannot be read", path=path, error=str(error))
                continue
            if found.cluster != cluster:
                continue
            if newest is None or (found.revision, found.taken_us) > (newest.revision, newest.taken_us):
                newest = found
            break
    return newest
