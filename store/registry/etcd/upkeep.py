"""Keeps members that are ours within their quota: room that is free goes back, and the alarm with it.

Compaction itself is etcd's own (Member.command); what it frees stays in the file until that is defragmented, and the
file is what counts for the quota.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from store.core.errors import DrystoneError, RetryableError
from store.registry.etcd.client import Client
from store.registry.etcd.endpoint import Endpoint
from store.registry.etcd.maintenance import NO_SPACE, Status, alarms, compact, defragment, disarm, status

PERIOD_SECONDS: Final = 60.0

WASTE_BYTES: Final = 64 * 1024 * 1024
"""Less than this, or than half of the file, is not worth the pause of a member."""

ROOM: Final = 0.8
"""An alarm is disarmed where the file takes less than this of the quota: else it would be back at once."""

log = structlog.get_logger()


class Upkeep:
    """Each member's process runs one; the leader's does the work, for all members."""

    def __init__(self, client: Client, own: Endpoint, quota_bytes: int) -> None:
        """`client` has an endpoint for each member, `own` is that of the member of this process."""
        self._client = client
        self._own = own
        self._quota_bytes = quota_bytes

    async def run(self) -> None:
        """A round a minute, until cancelled. A round that fails is told, and the next one tries again."""
        while True:
            try:
                await self.round()
            except DrystoneError as error:
                log.warning("upkeep of etcd: a round failed", error=str(error))
            await trio.sleep(PERIOD_SECONDS)

    async def round(self) -> None:
        own = await status(self._own)
        if own.leader != own.member:
            return
        full = [alarm for alarm in await alarms(self._client) if alarm.kind == NO_SPACE]
        if full:
            # What watchers could still ask for is what takes the room.
            await compact(self._client, own.revision)
        found: dict[int, Status] = {}
        for endpoint in [each for each in self._client.endpoints if each.url != self._own.url] + [self._own]:
            try:
                found_here = await self._tidy(endpoint, at_once=bool(full))
            except RetryableError as error:
                log.info("upkeep of etcd: a member is left out", error=str(error))
            else:
                found[found_here.member] = found_here
        for alarm in full:
            member = found.get(alarm.member)
            if member is not None and member.file_bytes < ROOM * self._quota_bytes:
                await disarm(self._client, alarm)
                log.warning("upkeep of etcd: it takes writes again", member=alarm.member, bytes=member.file_bytes)
            else:
                log.error(
                    "upkeep of etcd: a member is full of what is in use, and none takes writes: delete, or raise the "
                    "quota",
                    member=alarm.member,
                    bytes=member.file_bytes if member else None,
                    quota=self._quota_bytes,
                )

    async def _tidy(self, endpoint: Endpoint, *, at_once: bool) -> Status:
        before = await status(endpoint)
        free = before.file_bytes - before.used_bytes
        if not at_once and (free < WASTE_BYTES or free < before.file_bytes / 2):
            return before
        await defragment(endpoint)
        return await status(endpoint)
