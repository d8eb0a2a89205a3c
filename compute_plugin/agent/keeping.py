"""`Keeper`: what is to be done now and then, by one host of all: servers that could be restored for long enough are
deleted, and what is told of servers that are gone is forgotten."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
import trio

from compute_plugin.agent.hands import Hands
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.lifecycle.changes import begun
from compute_plugin.lifecycle.forgetting import forget
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from store.core.errors import DrystoneError

LOOK_S: Final = 60.0
FORGET_S: Final = 3600.0
AT_ONCE: Final = 100
"""Records that one change forgets."""

_log = structlog.get_logger(__name__)


class Keeper:
    """Of all servers, where its host is the first of those that live."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def run(self) -> None:
        """Until cancelled."""
        looks = 0
        while True:
            await trio.sleep(LOOK_S)
            if not self._hands.is_first:
                continue
            try:
                await self.reclaim()
                if looks % int(FORGET_S / LOOK_S) == 0:
                    await self.forget()
                looks += 1
            except DrystoneError as error:
                _log.warning("old servers are looked at later", error=str(error))

    async def reclaim(self) -> None:
        """Delete what was deleted long enough ago."""
        records = await self._hands.store.fresh()
        for server in [one for one in records.servers if self._is_due(one)]:
            if await self._hands.store.change(partial(self._begin, id_=server.id)):
                _log.info("a server that was deleted cannot be restored any more", server=server.id)

    def _is_due(self, server: Server) -> bool:
        until_us = server.terminated_us + self._hands.settings.reclaim_s * 1_000_000
        return (
            server.state is VmState.SOFT_DELETED
            and server.transition is None
            and until_us <= self._hands.clock.wall_us()
        )

    def _begin(self, records: Records, id_: str) -> bool:
        server, hands = records.servers.get(id_), self._hands
        if server is None or not self._is_due(server):
            return False
        request = f"req-{hands.new_id()}"
        begun(records, server, "delete", COMPUTE, id_=hands.new_id(), request_id=request, now_us=hands.clock.wall_us())
        return True

    async def forget(self) -> None:
        """What is old. Raises RetryableError."""
        now = self._hands.clock.wall_us()
        while await self._hands.store.change(lambda records: forget(records, now, AT_ONCE)) == AT_ONCE:
            _log.info("old records of servers are forgotten", many=AT_ONCE)
