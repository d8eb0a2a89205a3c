"""Standing: what a device says of itself durably and others go by: whether it is in sync, and which rings it refuses.

It is what the superblock holds, of a device that is open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import outcome

from store.core.disk import Disk
from store.core.errors import DeviceError, DrystoneError, FullError
from store.core.worker import Worker, call_all, run_in
from store.device.port import Done
from store.engine.committer import FULL_ERRNOS
from store.engine.health import Health
from store.engine.superblock import Superblock, write_superblock


class Standing:
    """The superblock of one open device."""

    def __init__(
        self,
        disk: Disk,
        superblock: Superblock,
        worker: Worker,
        health: Health,
        on_failed: Callable[[DrystoneError], object],
    ) -> None:
        self._disk = disk
        self._superblock = superblock
        self._worker = worker
        self._health = health
        self._on_failed = on_failed
        self.incarnation = superblock.incarnation
        self.in_sync = superblock.in_sync
        self.enforced = superblock.enforced
        self.has_ballots = superblock.has_ballots
        self._waiting: list[Done] = []

    async def set_in_sync(self, *, in_sync: bool) -> None:
        """Say whether it counts that this device has no row of a key."""
        await self._save(self._superblock._replace(in_sync=in_sync))
        self.in_sync = in_sync

    async def enforce(self, epoch: int) -> None:
        """Refuse rings older than this epoch. Only ever upwards."""
        if epoch <= self.enforced:
            return
        await self._save(self._superblock._replace(enforced=max(epoch, self._superblock.enforced)))
        self.enforced = max(epoch, self.enforced)

    def note_ballots(self, done: Done) -> None:
        """Have programs refuse this device that know nothing of promises and of versions that are not plain; `done` is
        called when that is durable: to be waited for before one is answered for the first time."""
        if self.has_ballots:
            done(None)
            return
        self._waiting.append(done)
        if len(self._waiting) == 1:
            superblock = self._superblock = self._superblock._replace(has_ballots=True)
            self._worker.submit(lambda: write_superblock(self._disk, superblock), self._noted)

    def _noted(self, result: outcome.Maybe[None]) -> None:
        waiting, self._waiting = self._waiting, []
        error = self._error_of(result.error) if isinstance(result, outcome.Error) else None
        self.has_ballots = error is None
        call_all(partial(done, error) for done in waiting)

    async def _save(self, superblock: Superblock) -> None:
        """Raises FullError where there is no room for it, DeviceError where it could not be written: the device is out
        then."""
        self._health.check()
        self._superblock = superblock  # whoever changes another field meanwhile goes on from this
        try:
            await run_in(self._worker, lambda: write_superblock(self._disk, superblock))
        except OSError as error:
            raise self._error_of(error) from error

    def _error_of(self, error: BaseException) -> DrystoneError:
        number = self._superblock.device
        if isinstance(error, OSError) and error.errno in FULL_ERRNOS:
            return FullError(f"device {number} is full: {error}")
        failed = DeviceError(f"device {number}: its superblock cannot be written: {error}")
        self._on_failed(failed)
        return failed
