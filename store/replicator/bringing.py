"""Rows on their way to devices that lack them: how one waits for all, and what is done about those that promises keep
out."""

from __future__ import annotations

from store.core.deadline import within
from store.core.errors import BarredError, DrystoneError
from store.core.wait_group import WaitGroup
from store.device.port import DURABLE_SECONDS
from store.device.row import RowKey
from store.objects.rows import Rows


class Bringing:
    """Some rows, for one wait.

    A promise keeps out what is older, also where whoever was given it wrote nothing: then the row is settled above it
    (docs/consistency.md), and goes to all replicas with that."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._waiting = WaitGroup()
        self._barred: dict[bytes, RowKey] = {}

    def add(self) -> None:
        """One more is on its way."""
        self._waiting.add()

    def done(self, key: RowKey, packed: bytes, error: DrystoneError | None = None) -> None:
        """One has arrived, or has not."""
        if isinstance(error, BarredError):
            self._barred[packed] = key
            error = None
        self._waiting.done(error)

    async def wait(self) -> None:
        """Wait for the last one. Raises the first error, and what keeps a row from being settled. Once only."""
        with within(DURABLE_SECONDS):
            await self._waiting.wait()
        for packed, key in self._barred.items():
            await self._rows.settle(key, packed)
