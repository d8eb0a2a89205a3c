"""Standing: what a device says of itself durably and others go by: whether it is in sync, and which rings it refuses.

It is what the superblock holds, of a device that is open.
"""

from __future__ import annotations

from collections.abc import Callable

from store.core.disk import Disk
from store.core.errors import DeviceError, DrystoneError, FullError
from store.core.worker import Worker, run_in
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

    async def _save(self, superblock: Superblock) -> None:
        """Raises FullError where there is no room for it, DeviceError where it could not be written: the device is out
        then."""
        self._health.check()
        self._superblock = superblock  # whoever changes another field meanwhile goes on from this
        number = superblock.device
        try:
            await run_in(self._worker, lambda: write_superblock(self._disk, superblock))
        except OSError as error:
            if error.errno in FULL_ERRNOS:
                raise FullError(f"device {number} is full: {error}") from error
            failed = DeviceError(f"device {number}: its superblock cannot be written: {error}")
            self._on_failed(failed)
            raise failed from error
