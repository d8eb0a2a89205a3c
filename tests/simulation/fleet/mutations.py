"""Planted mistakes that take several writers, or a network, to notice (see `tests.simulation.mutations`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from store.device.port import Applied, DevicePort
from store.device.row import IndexRow, RowKey
from store.engine.kinds import Promises
from store.engine.promise_table import PromiseTable
from store.engine.row_table import RowTable
from store.objects.quorum_read import ReadRow
from store.objects.rows import Rows
from store.replicator.tombstones import TombstoneCollector
from store.ring import Ring
from store.wire.client import WireClient
from store.wire.frame import Frame
from store.wire.message import REPLY


def newer_not_told() -> AbstractContextManager[object]:
    """A replica that has something newer says that it took what it was sent."""

    def took(_self: RowTable, _packed: bytes, stamp: bytes, here: IndexRow | None) -> Applied:
        return Applied("", stamp, here)

    return mock.patch.object(RowTable, "_newer", took)


def write_back_missing() -> AbstractContextManager[object]:
    """A read answers with the newest of what it sees."""

    async def nothing(_self: Rows, _key: RowKey, _packed: bytes, _found: ReadRow, _ring: Ring) -> bool:
        return True

    return mock.patch.object(Rows, "write_back", nothing)


@contextmanager
def promise_lost_in_a_restart() -> Iterator[None]:
    """A promise is kept in memory alone."""
    with (
        mock.patch.object(PromiseTable, "load", return_value=True),
        mock.patch.object(Promises, "_take_in"),
    ):
        yield


@contextmanager
def reply_of_another_request() -> Iterator[None]:
    """A link takes a reply for that to the oldest request of the same method."""
    submit, take = WireClient.submit, WireClient._take
    methods: dict[tuple[int, int], str] = {}

    def submitted(self: WireClient, method: str, *arguments: Any, **options: Any) -> int:
        number = submit(self, method, *arguments, **options)
        methods[id(self), number] = method
        return number

    def taken(self: WireClient, kind: int, frame: Frame) -> None:
        method = methods.get((id(self), frame.fields[1]))
        alike = [number for number in self._asked if methods.get((id(self), number)) == method]
        if kind == REPLY and alike and frame.fields[1] in self._asked:
            frame = frame._replace(fields=[frame.fields[0], min(alike), *frame.fields[2:]])
        take(self, kind, frame)

    with mock.patch.object(WireClient, "submit", submitted), mock.patch.object(WireClient, "_take", taken):
        yield


def tombstone_of_two() -> AbstractContextManager[object]:
    """A tombstone is collected when all of its replicas but one have it."""
    replicas = TombstoneCollector._replicas

    def two(self: TombstoneCollector, tombstone: tuple[bytes, bytes]) -> list[DevicePort] | None:
        found = replicas(self, tombstone)
        return None if found is None else found[:-1]

    return mock.patch.object(TombstoneCollector, "_replicas", two)
