"""Volumes as NBD serves them: within what the QoS specs of their types allow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from drystone.volumes import Volumes
from gateway.nbd.exports import ExportInfo
from gateway.nbd.limited_disk import Gates, LimitedDisk, Limits
from store.blocks.disk import Disk
from store.core.errors import DrystoneError

_log = structlog.get_logger(__name__)


class LimitedVolumes:
    """`Exports` of the NBD server. All clients of a volume share its limits, which are those of when the first came."""

    def __init__(self, volumes: Volumes, limits_of: Callable[[str], Awaitable[Limits | None]]) -> None:
        """`limits_of` a volume by its name; None for none."""
        self._volumes = volumes
        self._limits_of = limits_of
        self._gates: dict[str, tuple[Gates, int]] = {}
        """By name, with how many clients there are."""

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        """As Exports has it."""
        async with self._volumes.open(name) as disk:
            gates = await self._entered(name)
            if gates is None:
                yield disk
                return
            try:
                yield LimitedDisk(disk, gates)
            finally:
                self._left(name)

    async def look(self, name: str) -> ExportInfo:
        return await self._volumes.look(name)

    async def names(self) -> Sequence[str]:
        return await self._volumes.names()

    async def _entered(self, name: str) -> Gates | None:
        limits = None
        if name not in self._gates:
            try:
                limits = await self._limits_of(name)
            except DrystoneError as error:
                # Who needs the disk needs it more than others need the limit.
                _log.warning("a volume is served without the limits that it may have", volume=name, error=str(error))
        gates, clients = self._gates.get(name, (None, 0))
        if gates is None:
            if limits is None:
                return None
            gates = Gates(limits)
        self._gates[name] = gates, clients + 1
        return gates

    def _left(self, name: str) -> None:
        gates, clients = self._gates.pop(name)
        if clients > 1:
            self._gates[name] = gates, clients - 1
