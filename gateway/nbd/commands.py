"""One request, done: what it asks of the disk, and the reply to it."""

from __future__ import annotations

import logging
from typing import Final

from gateway.nbd.protocol import Command, CommandFlag, Error
from gateway.nbd.transmission import (
    STATUS_EXTENTS_MAX,
    Buffer,
    Request,
    done_reply,
    error_reply,
    read_reply,
    refusal,
    status_reply,
)
from store.blocks.disk import Disk, OwnerReplacedError, ReadOnlyError
from store.core.errors import DrystoneError, FullError

logger = logging.getLogger(__name__)

_READ: Final = int(Command.READ)
_ERRORS: Final = (
    (FullError, Error.ENOSPC),
    (ReadOnlyError, Error.EPERM),
    (OwnerReplacedError, Error.ESHUTDOWN),
)
"""All others are EIO."""
_WHY: Final = {
    Error.EPERM: "the export is read-only",
    Error.ENOSPC: "beyond the end of the export",
    Error.EINVAL: "no such request, or not within the export",
}


class Commands:
    """Does the requests of one connection on its disk."""

    __slots__ = ("_allocation", "_disk", "_structured")

    def __init__(self, disk: Disk, *, structured: bool, allocation: bool) -> None:
        self._disk = disk
        self._structured = structured
        self._allocation = allocation

    async def run(self, request: Request, payload: Buffer) -> list[Buffer]:
        """The reply. `payload`: of a WRITE. Never raises: what fails is told to the client."""
        disk = self._disk
        error = refusal(
            request,
            disk.size,
            read_only=disk.read_only,
            structured=self._structured,
            allocation=self._allocation,
        )
        if error is not None:
            return error_reply(request, error, _WHY[error], structured=self._structured)
        try:
            if request.command == _READ:
                pieces = await disk.read(request.offset, request.length) if request.length else ()
                return read_reply(request, pieces, structured=self._structured)
            if request.command == Command.BLOCK_STATUS:
                limit = 1 if request.flags & CommandFlag.REQ_ONE else STATUS_EXTENTS_MAX
                return status_reply(request, await disk.extents(request.offset, request.length, limit))
            await self._change(request, payload)
            return done_reply(request)
        except DrystoneError as failure:
            error = next((error for kind, error in _ERRORS if isinstance(failure, kind)), Error.EIO)
            logger.info("request %d at %d failed: %r", request.command, request.offset, failure)
            return error_reply(request, error, str(failure), structured=self._structured)
        except Exception:
            logger.exception("request %d at %d failed", request.command, request.offset)
            return error_reply(request, Error.EIO, "internal error", structured=self._structured)

    async def _change(self, request: Request, payload: Buffer) -> None:
        disk, command, offset, length, durable = (
            self._disk,
            request.command,
            request.offset,
            request.length,
            request.durable,
        )
        if command == Command.FLUSH:
            await disk.flush()
        elif not length or command == Command.CACHE:  # CACHE is a hint: nothing here is nearer than the rest
            return
        elif command == Command.WRITE:
            await disk.write(offset, payload, durable=durable)
        elif command == Command.TRIM:
            await disk.discard(offset, length, durable=durable)
        else:
            keep = bool(request.flags & CommandFlag.NO_HOLE)
            await disk.zero(offset, length, keep=keep, durable=durable)
