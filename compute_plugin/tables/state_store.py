"""`StateStore`: what agents say, in memory, a moment behind the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import structlog
import trio

from compute_plugin.tables.table import Table
from compute_plugin.tables.tables import Tables
from store.core.errors import DamageError
from store.registry import Event, Registry, Span
from store.registry.follow import follow

S = TypeVar("S", bound=Tables)

_log = structlog.get_logger(__name__)


class StateStore(Generic[S]):
    """Start `run`; `states` is right from then on."""

    def __init__(self, registry: Registry, make: Callable[[], S]) -> None:
        """`make`: empty tables."""
        self._registry = registry
        self._make = make
        self.states = make()
        self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started when everything has been read."""
        started = False
        everything = Span.prefix(self.states.prefix)

        async def anew() -> None:
            nonlocal started
            states = self._make()
            for item in await self._registry.range(everything):
                _apply(states, item.key, item.value)
            self.states = states
            self._tell()
            if not started:
                task_status.started()
                started = True

        async def each(event: Event) -> None:
            _apply(self.states, event.key, event.item.value if event.item else None)
            self._tell()

        await follow(self._registry, everything, anew, each)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _apply(states: Tables, key: bytes, value: bytes | None) -> None:
    kind, _, id_ = key.removeprefix(states.prefix).decode().partition("/")
    tables: dict[str, Table[Any]] = {table.kind.name: table for table in states.tables()}
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
        _log.warning("what an agent says cannot be read", key=key.decode(), reason=str(error))
