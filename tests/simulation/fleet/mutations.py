"""Planted mistakes that take several writers, or a network, to notice (see `tests.simulation.mutations`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from store.device.port import Applied, DevicePort
from store.device.row import STAMP_BYTES, Flag, IndexRow, Location, Row, RowKey, RowValue, decode_value, encode_value
from store.engine.kinds import Promises
from store.engine.promise_table import PromiseTable
from store.engine.row_table import RowTable
from store.objects.quorum_read import ReadRow
from store.objects.quorum_write import QuorumWrite
from store.objects.rows import Rows
from store.replicator import tombstones
from store.replicator.exchange import Exchange
from store.replicator.hints import Hints
from store.replicator.rebalance import Rebalancer
from store.replicator.tombstones import Tombstone, TombstoneCollector
from store.ring import Layout, Ring
from store.wire.client import WireClient
from store.wire.frame import Frame
from store.wire.message import REPLY
from tests.simulation.disk import SimFile, SimMedium
from tests.simulation.node import SimMedia


def newer_not_told() -> AbstractContextManager[object]:
    """A replica that has something newer says that it took what it was sent."""

    def took(_self: RowTable, _packed: bytes, stamp: bytes, here: IndexRow | None) -> Applied:
        return Applied("", stamp, here)

    return mock.patch.object(RowTable, "_newer", took)


def older_taken() -> AbstractContextManager[object]:
    """A replica takes what it is sent in the place of something newer."""
    apply = RowTable.apply

    def taken(
        self: RowTable, packed: bytes, row: Row, value: RowValue, location: Location, *, promises_bar: bool = True
    ) -> Applied:
        here, _ = self._look(packed)
        if here is None or here[:STAMP_BYTES] <= value.stamp or row.flags & (Flag.GUARD | Flag.ABORT):
            return apply(self, packed, row, value, location, promises_bar=promises_bar)
        before = decode_value(packed, here)
        self._index.put(packed, encode_value(packed, value, location))
        self._segment_usage.add(location, location.length)
        self._segment_usage.add(before.location, -before.location.length)
        self._derive(packed, row, before)
        return Applied("", value.stamp, before)

    return mock.patch.object(RowTable, "apply", taken)


@contextmanager
def sync_skipped_on_one() -> Iterator[None]:
    """The log of one device is never synced."""
    begin, sync = SimMedia.__init__, SimFile.sync
    skipping: list[SimMedium] = []

    def begun(self: SimMedia, *arguments: Any) -> None:
        begin(self, *arguments)
        skipping[:] = [self.disks[0]]

    def skip(self: SimFile) -> None:
        if not (self.name.endswith(".log") and self._disk.medium in skipping):
            sync(self)

    with mock.patch.object(SimMedia, "__init__", begun), mock.patch.object(SimFile, "sync", skip):
        yield


def handoff_counted() -> AbstractContextManager[object]:
    """While several layouts are live, whoever has taken a row counts for each of them, be it a replica there or not."""

    def are_quorums(self: QuorumWrite, some: Collection[int]) -> bool:
        return len(some) >= self._needed

    return mock.patch.object(QuorumWrite, "_are_quorums", are_quorums)


@contextmanager
def row_left_unsynced() -> Iterator[None]:
    """A device says that it has the rows of a layout when it has all but one of a page of those that it lacked."""
    sync, take_page = Rebalancer._sync, Exchange._take_page
    syncing: set[tuple[int, int]] = set()

    async def synced(self: Rebalancer, layout: Layout, device: DevicePort) -> int:
        syncing.add((id(self._exchange), device.id))
        try:
            return await sync(self, layout, device)
        finally:
            syncing.discard((id(self._exchange), device.id))

    async def all_but_one(
        self: Exchange, device: DevicePort, other: DevicePort, page: Sequence[tuple[bytes, IndexRow]], *more: Any
    ) -> int:
        if (id(self), device.id) in syncing:
            lacking = [entry for entry in page if await device.find_stamp(entry[0]) != entry[1].stamp]
            page = [entry for entry in page if entry not in lacking[:1]]
        return await take_page(self, device, other, page, *more)

    with mock.patch.object(Rebalancer, "_sync", synced), mock.patch.object(Exchange, "_take_page", all_but_one):
        yield


def presence_compared() -> AbstractContextManager[object]:
    """A device that rejoins, or is given partitions, takes the rows that it has not; those that it has count as alike.
    (What a comparison of counts would be: there are no digests.)"""
    take_page = Exchange._take_page

    async def absent_only(
        self: Exchange, device: DevicePort, other: DevicePort, page: Sequence[tuple[bytes, IndexRow]], *more: Any
    ) -> int:
        absent = [entry for entry in page if await device.find_stamp(entry[0]) is None]
        return await take_page(self, device, other, absent, *more)

    return mock.patch.object(Exchange, "_take_page", absent_only)


def hint_forgotten_on_error() -> AbstractContextManager[object]:
    """A hint whose data could not be brought is forgotten."""
    bring = Hints._bring_data

    async def once(self: Hints, target: DevicePort, data: Any) -> None:
        try:
            await bring(self, target, data)
        finally:
            self._forget(target, data.hint)

    return mock.patch.object(Hints, "_bring_data", once)


def write_back_missing() -> AbstractContextManager[object]:
    """A read answers with the newest of what it sees."""

    async def nothing(_self: Rows, _key: RowKey, _packed: bytes, _found: ReadRow, _ring: Ring) -> bool:
        return True

    return mock.patch.object(Rows, "write_back", nothing)


@contextmanager
def promise_lost_in_a_restart() -> Iterator[None]:
    """A promise is kept in memory alone."""
    load = PromiseTable.load

    def forgotten(self: PromiseTable) -> bool:
        whole = load(self)
        for packed in list(self.by_row):
            self.reached(packed)
        return whole

    with (
        mock.patch.object(PromiseTable, "load", forgotten),
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


@contextmanager
def tombstone_of_two() -> Iterator[None]:
    """A tombstone is collected when all of its replicas but one have it, and nobody looks again."""

    async def retire(self: TombstoneCollector, _device: DevicePort, tombstone: Tombstone) -> bool | None:
        replicas = self._replicas(tombstone)
        if tombstone in self._retired or replicas is None:
            return None
        packed, stamp = tombstone
        having = 0
        for replica in replicas:
            its = await replica.retired_stamp(packed, believed=True) or await replica.find_stamp(packed, believed=True)
            having += its == stamp
        if having < len(replicas) - 1:
            return None
        for replica in replicas:
            replica.retire_tombstone(packed, stamp)
        self._retired[tombstone] = replicas
        return True

    async def surely(*_: object) -> bool:
        return True

    with (
        mock.patch.object(TombstoneCollector, "_retire", retire),
        mock.patch.object(TombstoneCollector, "_keeps_out", surely),
        mock.patch.object(tombstones, "_is_above", surely),
    ):
        yield
