"""Planted bugs: each a small, plausible mistake in the store, put in place for the length of a context.

The exploration must catch every one of them within a bounded number of seeds (`test_mutations`); a checker that
cannot is no checker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple
from unittest import mock

from store.core.errors import DamageError
from store.device import record as records
from store.device.block import BlockKey, IndexBlock
from store.device.port import Done
from store.device.row import Location, RowKey, decode_value, move_value
from store.engine import recovery
from store.engine.block_table import BlockTable
from store.engine.bulk import BulkWriter
from store.engine.device import Device
from store.engine.flush import Flusher
from store.engine.maintenance import Maintenance
from store.engine.recovery import Found, Reader
from store.engine.row_table import RowTable
from store.engine.standing import Standing
from store.objects import upload
from store.objects.quorum_write import QuorumWrite
from store.objects.rows import Rows
from store.objects.table_cache import TableCache
from store.objects.upload import DataUpload
from store.replicator.exchange import Exchange
from store.replicator.hints import Hints
from store.replicator.rebalance import Rebalancer
from store.replicator.rejoin import Rejoiner
from store.replicator.scrub import Scrubber
from store.ring import Layout, Ring
from tests.simulation.disk import SimFile
from tests.simulation.fleet import mutations as several

Mutation = Callable[[], AbstractContextManager[object]]


class Planted(NamedTuple):
    """A mutation, the workload that must catch it, and within how many seeds."""

    workload: str
    seeds: int
    plant: Mutation


def sync_skipped() -> AbstractContextManager[object]:
    """A sync of the log answers without having been done."""
    sync = SimFile.sync

    def skip(self: SimFile) -> None:
        if not self.name.endswith(".log"):
            sync(self)

    return mock.patch.object(SimFile, "sync", skip)


def index_ahead_of_log() -> AbstractContextManager[object]:
    """The index says that it holds records which are only about to be committed."""

    def mark(self: Flusher) -> None:
        committer = self.log
        queued = sum(sealed.payload_bytes + len(sealed.body) + 64 for sealed, *_ in committer._queue)
        self._index.set_position(b"log", (committer.segment, committer.offset + queued + 4096, committer.seq))
        self._index.set_position(b"bulk", self._bulk.position)

    return mock.patch.object(Flusher, "mark_applied", mark)


def payload_unchecked() -> AbstractContextManager[object]:
    """Recovery takes a record whose header is whole, whatever became of its payload."""
    return mock.patch.object(recovery, "verify_payload")


def torn_tail_taken() -> AbstractContextManager[object]:
    """Behind a bad record at the log's end, whatever is valid is taken too."""

    def beyond(reader: Reader, offset: int, end: int | None, _seq: int, _last: bool) -> Found | None:
        return reader.next(offset + records.LOG_ALIGN, reader.size if end is None else end)

    return mock.patch.object(recovery, "_beyond", beyond)


def damage_cut() -> AbstractContextManager[object]:
    """A bad record ends the log, even where something behind it says that it was durable."""
    return mock.patch.object(recovery, "_beyond", return_value=None)


def compaction_wins() -> AbstractContextManager[object]:
    """The index moves to compaction's copy without a look at what it points to now."""

    def move(self: RowTable, packed: bytes, old: Location, new: Location) -> bool:
        value = self.row_value(packed)
        if value is None:
            return False
        before = decode_value(packed, value).location
        self._index.put(packed, move_value(packed, value, new))
        self._segment_usage.add(before, -before.length)
        self._segment_usage.add(new, new.length)
        return True

    return mock.patch.object(RowTable, "move", move)


@contextmanager
def write_quorum_off_by_one() -> Iterator[None]:
    """One replica less is enough for a write."""

    def are_quorums(self: QuorumWrite, some: Collection[int]) -> bool:
        return all(sum(replica in some for replica in replicas) >= len(replicas) // 2 for replicas in self._sets)

    with mock.patch.object(QuorumWrite, "_are_quorums", are_quorums):
        yield


@contextmanager
def read_quorum_off_by_one() -> Iterator[None]:
    """One replica less is enough for a read."""
    with mock.patch("store.objects.quorum_read.quorum", lambda copies: max(1, copies // 2)):
        yield


def row_before_data() -> AbstractContextManager[object]:
    """An upload's row is committed without waiting for its data to be durable."""

    async def no_sync(_self: DataUpload, _on_last: Callable[[], None] | None = None) -> None:
        """Wait for nothing."""

    return mock.patch.object(DataUpload, "_sync", no_sync)


def stale_records_taken() -> AbstractContextManager[object]:
    """Records of a recycled segment's former life are taken for its own."""
    parse = records.parse_header

    def lenient(data: records.Buffer, *, segment: int, offset: int) -> records.Header | None:
        if len(data) < records.HEADER_BYTES:
            return None
        own = records._HEAD.unpack_from(data)[6]
        return parse(data, segment=own, offset=offset)

    return mock.patch.object(recovery, "parse_header", lenient)


def drop_not_waiting() -> AbstractContextManager[object]:
    """A drop is confirmed while blocks of the same data are still on their way."""
    return mock.patch.object(BulkWriter, "completed", return_value=True)


def failed_sync_forgiven() -> AbstractContextManager[object]:
    """A failed sync is tried again, and then believed."""
    sync = SimFile.sync

    def twice(self: SimFile) -> None:
        try:
            sync(self)
        except OSError:
            sync(self)

    return mock.patch.object(SimFile, "sync", twice)


def segment_freed_early() -> AbstractContextManager[object]:
    """A segment counts as empty before the index says so."""

    async def compacted(self: Maintenance, below: float) -> int:
        victims = self._compactor.compactable(below)
        if not victims:
            return 0
        copied = await self._compactor.compact_segment(victims[0])
        await self._flusher._remove(victims[0], recycle=False)
        return copied

    return mock.patch.object(Maintenance, "compact", compacted)


def referenced_payload_freed() -> AbstractContextManager[object]:
    """The first block that is dropped takes a shared payload with it."""
    release = BlockTable._release

    def alone(self: BlockTable, entry: IndexBlock) -> None:
        release(self, entry)
        if entry.location not in self._segment_usage.holes:
            self._segment_usage.add(entry.location, -entry.location.length)
            self._segment_usage.free(entry.location)

    return mock.patch.object(BlockTable, "_release", alone)


@contextmanager
def source_let_go_early() -> Iterator[None]:
    """The source of a copy may be dropped while some devices have yet to refer to it; these say nothing of that, and no
    hint is noted for them, which would bring them what they miss."""
    sync, submit_reference = DataUpload._sync, Device.submit_reference

    async def early(self: DataUpload, on_last: Callable[[], None] | None = None) -> None:
        if on_last is not None:
            on_last()
        await sync(self)

    def untold(self: Device, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, _lost: Done) -> None:
        submit_reference(self, key, source, owner, done, lambda _error: None)

    def unexpected(_self: Rows, _packed: bytes, _place: int, _devices: Collection[int]) -> Callable[[], None]:
        return lambda: None  # nothing is noted

    with (
        mock.patch.object(DataUpload, "_sync", early),
        mock.patch.object(Device, "submit_reference", untold),
        mock.patch.object(Rows, "expect_data", unexpected),
    ):
        yield


# -- where faults and layout changes meet ------------------------------------------------------------------------


def gains_without_losing() -> AbstractContextManager[object]:
    """A device that gets a partition, or is to be in sync again, keeps what only it knows."""

    async def nothing(*_: object) -> int:
        return 0

    return mock.patch.object(Exchange, "lose", nothing)


@contextmanager
def everyone_believed() -> Iterator[None]:
    """What a device holds counts before it has synced, and whatever it holds."""

    async def nothing(*_: object) -> int:
        return 0

    with mock.patch.object(Ring, "in_sync", Ring.replicas_all), mock.patch.object(Exchange, "lose", nothing):
        yield


def layout_waits_for_the_dead() -> AbstractContextManager[object]:
    """No device syncs while any other is out."""
    sync = Rebalancer._sync

    async def wait(self: Rebalancer, layout: Layout, device: Device) -> int:
        for other in self._store.devices.values():
            if other.failed is not None:
                raise other.failed
        return await sync(self, layout, device)

    return mock.patch.object(Rebalancer, "_sync", wait)


def damage_is_absence() -> AbstractContextManager[object]:
    """A damaged index entry says that there is no such row."""
    look = RowTable.row_value

    def absent(self: RowTable, key: bytes) -> bytes | None:
        try:
            return look(self, key)
        except DamageError:
            return None

    return mock.patch.object(RowTable, "row_value", absent)


def cache_outlives_writes() -> AbstractContextManager[object]:
    """What is remembered of a container is not forgotten when its row is written."""
    return mock.patch.object(TableCache, "drop")


def hints_not_noted() -> AbstractContextManager[object]:
    """Nobody remembers what a replica missed."""
    return mock.patch.object(Hints, "note")


def late_replicas_not_noted() -> AbstractContextManager[object]:
    """An index is written without a word of who has not answered yet."""
    return mock.patch.object(Rows, "note_late")


def stale_disk_believed() -> AbstractContextManager[object]:
    """A disk that is not the one which was there last is believed."""
    set_in_sync = Standing.set_in_sync

    async def believe(self: Standing, *, in_sync: bool) -> None:
        if in_sync:
            await set_in_sync(self, in_sync=True)

    return mock.patch.object(Standing, "set_in_sync", believe)


def unknown_versions_kept() -> AbstractContextManager[object]:
    """A device that has rejoined keeps what no other replica knows."""

    async def known(*_: object) -> bool:
        return True

    return mock.patch.object(Rejoiner, "_known_elsewhere", known)


def in_doubt_ignored() -> AbstractContextManager[object]:
    """What a crash left at one replica is left there."""

    async def resolve(self: Rows, key: RowKey, packed: bytes) -> None:
        await self.read(key, packed)

    return mock.patch.object(Rows, "resolve", resolve)


def scrub_reads_rows_only() -> AbstractContextManager[object]:
    """The scrubber reads no data."""

    async def nothing(*_: object) -> None:
        """It reads nothing."""

    return mock.patch.object(Scrubber, "_verify_data", nothing)


def repair_believes_blocks() -> AbstractContextManager[object]:
    """The repairer takes a block that is there to be good."""

    async def there(device: Device, key: BlockKey) -> bool:
        return device.blocks.find(key) is not None

    return mock.patch("store.replicator.restore._good", there)


def taken_from_one_quorum_short() -> AbstractContextManager[object]:
    """A device that is to hold a partition takes its rows from the first other device alone."""
    take_from = Exchange._take_from
    taken: set[int] = set()

    async def first_only(self: Exchange, device: Device, other: Device, concerned: Callable[[int], bool]) -> int:
        if id(device) in taken:
            return 0
        taken.add(id(device))
        return await take_from(self, device, other, concerned)

    return mock.patch.object(Exchange, "_take_from", first_only)


def brought_data_not_synced() -> AbstractContextManager[object]:
    """Data that are moved or brought count as there before they are durable."""

    async def at_once(self: Device, losses: int) -> None:
        """It does not wait."""

    return mock.patch.object(Device, "sync_data", at_once)


def upload_a_device_short() -> AbstractContextManager[object]:
    """An upload is acknowledged when one device fewer than needed has its data."""

    class Short(upload._Vote):
        def __init__(self, needed: int, on_last: Callable[[], None] | None) -> None:
            super().__init__(needed - 1, on_last)

    return mock.patch.object(upload, "_Vote", Short)


MUTATIONS: dict[str, Planted] = {
    "newer-not-told": Planted("fleet", 200, several.newer_not_told),
    "older-taken": Planted("fleet", 200, several.older_taken),
    "read-quorum-of-several": Planted("fleet", 200, read_quorum_off_by_one),
    "write-quorum-of-several": Planted("fleet", 200, write_quorum_off_by_one),
    "write-back-missing": Planted("fleet", 200, several.write_back_missing),
    "promise-lost-in-a-restart": Planted("promises", 40, several.promise_lost_in_a_restart),
    "reply-of-another-request": Planted("fleet", 200, several.reply_of_another_request),
    "tombstone-of-two": Planted("composed", 200, several.tombstone_of_two),
    "sync-skipped-on-one": Planted("composed", 200, several.sync_skipped_on_one),
    "handoff-counted": Planted("composed", 200, several.handoff_counted),
    "row-left-unsynced": Planted("composed", 200, several.row_left_unsynced),
    "presence-compared": Planted("composed", 200, several.presence_compared),
    "hint-forgotten-on-error": Planted("composed", 200, several.hint_forgotten_on_error),
    "gains-without-losing": Planted("composed", 200, gains_without_losing),
    "everyone-believed": Planted("composed", 200, everyone_believed),
    "layout-waits-for-the-dead": Planted("composed", 200, layout_waits_for_the_dead),
    "damage-is-absence": Planted("composed", 200, damage_is_absence),
    "cache-outlives-writes": Planted("composed", 200, cache_outlives_writes),
    "hints-not-noted": Planted("composed", 200, hints_not_noted),
    "late-replicas-not-noted": Planted("composed", 200, late_replicas_not_noted),
    "stale-disk-believed": Planted("composed", 200, stale_disk_believed),
    "unknown-versions-kept": Planted("composed", 200, unknown_versions_kept),
    "in-doubt-ignored": Planted("composed", 200, in_doubt_ignored),
    "scrub-reads-rows-only": Planted("composed", 200, scrub_reads_rows_only),
    "repair-believes-blocks": Planted("composed", 200, repair_believes_blocks),
    "taken-from-one-only": Planted("composed", 200, taken_from_one_quorum_short),
    "brought-data-not-synced": Planted("composed", 200, brought_data_not_synced),
    "upload-a-device-short": Planted("composed", 200, upload_a_device_short),
    "sync-skipped": Planted("engine", 40, sync_skipped),
    "index-ahead-of-log": Planted("engine", 40, index_ahead_of_log),
    "payload-unchecked": Planted("engine", 60, payload_unchecked),
    "torn-tail-taken": Planted("engine", 120, torn_tail_taken),
    "compaction-wins": Planted("engine", 60, compaction_wins),
    "drop-not-waiting": Planted("engine", 120, drop_not_waiting),
    "failed-sync-forgiven": Planted("engine", 120, failed_sync_forgiven),
    "segment-freed-early": Planted("engine", 60, segment_freed_early),
    "stale-records-taken": Planted("engine", 200, stale_records_taken),
    "shared-payload-freed": Planted("objects", 40, referenced_payload_freed),
    "source-let-go-early": Planted("slow", 40, source_let_go_early),
    "write-quorum-off-by-one": Planted("objects", 40, write_quorum_off_by_one),
    "read-quorum-off-by-one": Planted("objects", 40, read_quorum_off_by_one),
    "row-before-data": Planted("objects", 40, row_before_data),
}
