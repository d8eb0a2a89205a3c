"""`StateStore`: what agents say, in memory, a moment behind the registry."""

from __future__ import annotations

from typing import Any

import structlog
import trio

from compute_plugin.networks.records.states import PREFIX, States
from compute_plugin.networks.records.table import Table
from store.core.errors import DamageError
from store.registry import Event, Registry, Span
from store.registry.follow import follow

_log = structlog.get_logger(__name__)


class StateStore:
    """Start `run`; `states` is right from then on."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.states = States()
        self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started when everything has been read."""
        started = False

        async def anew() -> None:
            nonlocal started
            states = States()
            for item in await self._registry.range(Span.prefix(PREFIX)):
                _apply(states, item.key, item.value)
            self.states = states
            self._tell()
            if not started:
                task_status.started()
                started = True

        async def each(event: Event) -> None:
            _apply(self.states, event.key, event.item.value if event.item else None)
            self._tell()

        await follow(self._registry, Span.prefix(PREFIX), anew, each)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _apply(states: States, key: bytes, value: bytes | None) -> None:
    kind, _, id_ = key.removeprefix(PREFIX).decode().partition("/")
    every: tuple[Table[Any], ...] = (states.agents, states.ports, states.routers, states.hosts)
    tables = {table.kind.name: table for table in every}
    table = tables.get(kind)
    if table is None:
        return  # a newer agent says something that is not asked about here
    if value is None:
        table.delete(id_)
        return
    try:
        table.put(table.kind.codec.decode(value))
    except DamageError as error:
        table.delete(id_)
        _log.warning("what an agent of networks says cannot be read", key=key.decode(), reason=str(error))
