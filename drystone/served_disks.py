"""Volumes as NBD serves them: by their own names or by an attachment's, within what the QoS specs of their types allow.

A name that stands for an attachment (`attachment-<id>`) is good as long as there is the attachment: a host that was
detached by force does not find the volume again. What is attached to be read is served to be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from drystone.standby import Standby
from drystone.volumes import Volumes
from gateway.nbd.exports import ExportInfo
from gateway.nbd.limited_disk import Gates, LimitedDisk, Limits
from gateway.nbd.read_only_disk import ReadOnlyDisk
from store.blocks.disk import Disk
from store.core.errors import DrystoneError

_log = structlog.get_logger(__name__)


class Meant(NamedTuple):
    """What an export's name stands for."""

    volume: str
    """As the store calls it; VOLUME@SNAPSHOT is a snapshot."""
    read_only: bool = False


class ServedDisks:
    """`Exports` of the NBD server. All clients of a volume share its limits, which are those of when the first came."""

    def __init__(
        self,
        volumes: Volumes,
        meant: Callable[[str], Awaitable[Meant]],
        limits_of: Callable[[str], Awaitable[Limits | None]],
        standby: Standby | None = None,
    ) -> None:
        """`meant` raises NotFoundError for a name that stands for nothing any more. `limits_of` a volume; None for
        none. `standby`: where exports of guests that move are opened."""
        self._volumes = volumes
        self._standby = standby
        self._meant = meant
        self._limits_of = limits_of
        self._gates: dict[str, tuple[Gates, int]] = {}
        """By volume, with how many clients there are."""

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        """As Exports has it."""
        volume, read_only = await self._meant(name)
        standby = self._standby
        volumes = standby if standby is not None and standby.is_for(name) else self._volumes
        async with volumes.open(volume) as disk:
            gates = await self._entered(volume)
            try:
                limited = disk if gates is None else LimitedDisk(disk, gates)
                yield ReadOnlyDisk(limited) if read_only else limited
            finally:
                if gates is not None:
                    self._left(volume)

    async def look(self, name: str) -> ExportInfo:
        """As Exports has it."""
        volume, read_only = await self._meant(name)
        info = await self._volumes.look(volume)
        return ExportInfo(info.size, info.read_only or read_only)

    async def names(self) -> Sequence[str]:
        """As Exports has it."""
        return await self._volumes.names()

    async def _entered(self, volume: str) -> Gates | None:
        limits = None
        if volume not in self._gates:
            try:
                limits = await self._limits_of(volume)
            except DrystoneError as error:
                # Who needs the disk needs it more than others need the limit.
                _log.warning("a volume is served without the limits that it may have", volume=volume, error=str(error))
        gates, clients = self._gates.get(volume, (None, 0))
        if gates is None:
            if limits is None:
                return None
            gates = Gates(limits)
        self._gates[volume] = gates, clients + 1
        return gates

    def _left(self, volume: str) -> None:
        gates, clients = self._gates.pop(volume)
        if clients > 1:
            self._gates[volume] = gates, clients - 1
