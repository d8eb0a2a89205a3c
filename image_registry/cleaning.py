"""`Cleaning`: removes what images left behind: bits that nobody receives any more, bits and volumes of images that were
deleted."""

from __future__ import annotations

from typing import Final

import structlog
import trio

from image_registry import keys
from image_registry.receiving import Receiver
from store.blocks.interface import VolumeStore
from store.core.errors import DrystoneError, NotFoundError
from store.registry import Delete, Registry

SWEEP_S: Final = 60

_log = structlog.get_logger(__name__)


class Cleaning:
    """`run` while images are served."""

    def __init__(self, registry: Registry, receiver: Receiver, volumes: VolumeStore) -> None:
        self._registry = registry
        self._receiver = receiver
        self._volumes = volumes
        self._wanted = trio.Event()

    def soon(self) -> None:
        """There is something to be removed."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled: soon after something is left, and now and then."""
        while True:
            self._wanted = trio.Event()
            try:
                await self.sweep()
            except DrystoneError as error:
                _log.warning("what images left behind is not removed now", error=str(error))
            with trio.move_on_after(SWEEP_S):
                await self._wanted.wait()

    async def sweep(self) -> None:
        """Once. Raises RetryableError."""
        await self._receiver.sweep()
        for item in await self._registry.range(keys.VOLUMES):
            name = item.key.removeprefix(keys.VOLUMES.start).decode()
            try:
                await self._volumes.delete(name, force=True, take_over=True)
            except NotFoundError:
                pass  # deleted by another, or before the entry was
            except DrystoneError as error:
                _log.warning("a volume of an image that was deleted is not removed now", volume=name, error=str(error))
                continue
            await self._registry.transact((), [Delete(item.key)])
