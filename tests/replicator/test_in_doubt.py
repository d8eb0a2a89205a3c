"""Writes that a crash left at one replica: whatever is shown after the start stays so."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DamageError, DeviceError, NotFoundError
from store.core.wait_group import WaitGroup
from store.core.worker import Done
from store.device.port import Applied
from store.device.row import SYSTEM, Row, index_key
from store.engine.device import Device
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.quorum_check import Questions
from store.objects.rows import Rows, prepare
from store.objects.store import DeviceStore
from store.replicator.daemon import Outcome
from store.replicator.in_doubt import InDoubt
from store.ring import ROWS
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, SimNode, engine_of, open_node

HEAD = ObjectHead("t")
SMALL, LARGE = b"small", Random(1).randbytes(3 * BLOCK_BYTES)


async def write(store: DeviceStore, container: Container, data: bytes) -> None:
    async with store.upload(container, "o") as upload:
        await upload.write(data)
        await upload.commit(HEAD)


async def shown(store: DeviceStore, container: Container) -> tuple[bytes | None, list[int], int]:
    """(data, sizes in the listing, bytes counted)"""
    try:
        async with store.open(container, "o") as opened:
            data = b"".join([bytes(piece) async for piece in opened.read()])
    except NotFoundError:
        data = None
    listed = await store.list_objects(container, ListingQuery(limit=10))
    sizes = [entry.size for entry in listed]  # type: ignore[union-attr]
    return data, sizes, (await store.container_usage(container)).bytes


@pytest.mark.parametrize("cut", ["process", "power", "indexed"])
@pytest.mark.parametrize("replica", range(3))
@pytest.mark.parametrize("before", [None, SMALL, LARGE], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("after", [None, SMALL * 2, LARGE * 2], ids=["delete", "put", "upload"])
async def test_a_write_that_reached_one_replica_is_decided_before_anyone_asks(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    before: bytes | None,
    after: bytes | None,
    replica: int,
    cut: str,
) -> None:
    """An upload also where its one replica has it in the index already."""
    if before is None and after is None:
        return
    if cut == "indexed" and after != LARGE * 2:
        return
    media = SimMedia(Random(replica), 4, (Policy(0, "copies", default=True),))
    crash_point = CrashPoint()

    put = Rows.put

    async def reach_one(
        self: Rows, row: Row, packed: bytes, _questions: Questions | None = None, *, reserve: bool = False
    ) -> tuple[Row, Applied]:
        if row.key.name[:1] == SYSTEM:
            return await put(self, row, packed, reserve=reserve)
        row = row._replace(stamp=self.stamps.next(row.stamp))
        written = WaitGroup()
        written.add()
        device = self.devices[self.ring.replicas_all(ROWS, row.key.ring_hash)[replica]]
        device.submit_row(prepare(row, self.ring.epoch, packed), lambda _, error: written.done(error))
        await written.wait()
        if cut == "indexed":
            await device.flush()
        crash_point.cut()
        raise PowerLoss

    async def life() -> None:
        async with open_node(media, crash_point) as node:
            await node.store.put_account("a", {})
            container, _ = await node.store.put_container("a", "c", {})
            if before is not None:
                await write(node.store, container, before)
            await trio.sleep(5)  # all replicas have everything
            monkeypatch.setattr(Rows, "put", reach_one)
            if after is None:
                await node.store.delete(container, "o")
            else:
                await write(node.store, container, after)

    with small_limits():
        with pytest.raises(BaseExceptionGroup):
            await life()
        monkeypatch.undo()
        if cut != "process":
            media.lose_power()
        async with open_node(media, CrashPoint()) as node:
            container = await node.store.container("a", "c")
            first = await shown(node.store, container)
            assert first[0] == after
            assert first[1:] == (([], 0) if after is None else ([len(after)], len(after)))
            await node.run_daemons()
            assert await shown(node.store, container) == first


@pytest.mark.parametrize("policy", [0, 1], ids=["copies", "code"])
async def test_what_the_slowest_device_lost_is_written_anew(autojump_clock: MockClock, policy: int) -> None:
    """An upload was acknowledged by the others. No scrub is needed."""
    media = SimMedia(Random(policy), 4, (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=2, codec="zfec")))
    crash_point = CrashPoint()
    with small_limits():
        async with open_node(media, crash_point) as node:
            await node.store.put_account("a", {})
            container, _ = await node.store.put_container("a", "c", {}, policy)
            await trio.sleep(5)
            for device in node.devices.values():
                device._options.flush_seconds = 1000.0
            async with node.store.upload(container, "o") as upload:
                await upload.write(LARGE)
                placement = upload._data.placement
                assert placement is not None
                slow = node.devices[placement.data_location.devices[-1]]
                slow._bulk._sync_worker = Never()
                await upload.commit(HEAD)
            crash_point.cut()
            media.lose_power()
        async with open_node(media, CrashPoint()) as node:
            await trio.sleep(10)
            data_id = upload._data.data_id
            held = {number for number, device in node.devices.items() if await device.has_blocks(data_id)}
            assert held == set(placement.data_location.devices)
            for number in held:
                assert len(await node.devices[number].has_blocks(data_id)) == 3


class Never:
    """A worker that does nothing."""

    def submit(self, job: Callable[[], object], done: Done) -> None:
        """It stands still."""

    def close(self) -> None:
        """As before."""


OLD, NEWER = b"old", b"newer"


async def in_doubt() -> tuple[SimMedia, tuple[int, ...]]:
    """A machine that stopped when NEWER had reached the last of three replicas, where all have OLD; and these
    replicas."""
    media = SimMedia(Random(1), 3, (Policy(0, "copies", default=True),))
    async with open_node(media, CrashPoint()) as node:
        store = node.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        await write(store, container, OLD)
        await trio.sleep(5)
        key = store.rows.key(container.id, container.shards, b"o")
        packed = index_key(key)
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        replicas = store.rows.ring.replicas_all(ROWS, key.ring_hash)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), payload=NEWER, size=len(NEWER))
        written = WaitGroup()
        written.add()
        node.devices[replicas[-1]].submit_row(prepare(newer, 1, packed), lambda _, error: written.done(error))
        await written.wait()
    return media, tuple(replicas)


def fill(device: Device) -> None:
    device._options.reserve_bytes = 1 << 50
    device.room.look()


def fill_all(devices: list[Device]) -> None:
    for device in devices:
        fill(device)


def take_out(device: Device) -> None:
    device._fail(DeviceError("no sync"))


def break_index(device: Device) -> None:
    def broken(_key: bytes) -> bytes:
        raise DamageError("the index is corrupt")

    device.merged_index.find = broken  # type: ignore[assignment,method-assign]


TROUBLES: dict[str, Callable[[list[Device]], None]] = {
    "none": lambda _replicas: None,
    "one is full": lambda replicas: fill(replicas[0]),
    "all are full": fill_all,
    "one is out": lambda replicas: take_out(replicas[0]),
    "one's index is broken": lambda replicas: break_index(replicas[0]),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_devices_in_trouble_do_not_keep_others_in_note_in_doubt(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    media, replicas = await in_doubt()

    resolve_all = InDoubt.resolve_all

    async def resolve_in_trouble(self: InDoubt) -> Outcome:
        TROUBLES[trouble]([engine_of(self._store.devices[replica]) for replica in replicas])
        return await resolve_all(self)

    monkeypatch.setattr(InDoubt, "resolve_all", resolve_in_trouble)
    async with open_node(media, CrashPoint()) as node:
        container = await node.store.container("a", "c")
        assert (await shown(node.store, container))[0] == NEWER
        key = node.store.rows.key(container.id, container.shards, b"o")
        stamps = {await node.devices[replica].find_stamp(index_key(key)) for replica in replicas[1:]}
        assert len(stamps) == 1


async def test_a_start_that_dies_before_it_has_decided_leaves_that_to_the_next(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has brought the indexes up to the logs, so the next one reads nothing again."""
    media, _ = await in_doubt()

    async def die(_self: InDoubt) -> Outcome:
        raise PowerLoss

    monkeypatch.setattr(InDoubt, "resolve_all", die)
    with pytest.raises(BaseExceptionGroup):
        await open_and_close(media)
    monkeypatch.undo()
    async with open_node(media, CrashPoint()) as node:
        container = await node.store.container("a", "c")
        assert (await shown(node.store, container))[0] == NEWER
        await trio.sleep(3)
        assert [await device.in_doubt(b"", 10) for device in node.devices.values()] == [[], [], []]


async def open_and_close(media: SimMedia) -> None:
    async with open_node(media, CrashPoint()):
        pass


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_what_was_deleted_for_good_does_not_come_back_from_a_device_that_forgot_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """Its index is lost, and its log is read from the beginning: the object is still in there, its tombstone is not."""
    media = SimMedia(Random(1), 3, (Policy(0, "copies", default=True),))

    resolve_all = InDoubt.resolve_all

    async def resolve_and_repair(self: InDoubt) -> Outcome:
        """Before the device has rejoined."""
        first = self._store.devices[0]
        assert not first.in_sync
        assert await first.find_row(index_key(key)) is not None
        outcome = await resolve_all(self)
        await self._repairer._restorer.whole(key)
        return outcome

    with small_limits():
        async with open_node(media, CrashPoint()) as node:
            store = node.store
            await store.put_account("a", {})
            container, _ = await store.put_container("a", "c", {})
            await write(store, container, data)
            for number in range(80):
                await store.put(container, f"stays {number}", b"s" * 1900, HEAD)
            await trio.sleep(3)
            next_segment(node)
            await store.delete(container, "o")
            await trio.sleep(3)
            next_segment(node)
            await store.put(container, "stays", b"", HEAD)
            await node.replicator.collector.collect_data()
            await node.replicator.tombstones.collect_tombstones()
            await trio.sleep(10)
            key = store.rows.key(container.id, container.shards, b"o")
        media.indexes[0].wipe()
        monkeypatch.setattr(InDoubt, "resolve_all", resolve_and_repair)
        async with open_node(media, CrashPoint()) as node:
            first = node.devices[0]
            container = await node.store.container("a", "c")
            for look in (node.store.head, node.store.delete):
                with pytest.raises(NotFoundError):
                    await look(container, "o")
            await node.run_daemons()
            assert first.in_sync
            assert await first.find_row(index_key(key)) is None


def next_segment(node: SimNode) -> None:
    """The next record of each log begins a new one."""
    for device in node.devices.values():
        device._committer._file = None


async def test_a_device_that_is_out_keeps_its_in_doubt_writes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica has one of the same row, and is asked."""
    media, replicas = await in_doubt()

    resolve_all = InDoubt.resolve_all

    async def resolve_without_one(self: InDoubt) -> Outcome:
        first, *_, last = (engine_of(self._store.devices[replica]) for replica in replicas)
        for packed in last.row_table.in_doubt(b"", 10):
            first.row_table.note_in_doubt(packed)
        last._fail(DeviceError("no sync"))
        return await resolve_all(self)

    monkeypatch.setattr(InDoubt, "resolve_all", resolve_without_one)
    async with open_node(media, CrashPoint()) as node:
        container = await node.store.container("a", "c")
        assert (await shown(node.store, container))[0] == OLD
        await trio.sleep(5)
    monkeypatch.undo()
    async with open_node(media, CrashPoint()) as node:
        assert (await shown(node.store, container))[0] == NEWER


async def test_what_a_writer_that_went_away_left_in_doubt_is_resolved_while_the_program_runs(
    autojump_clock: MockClock,
) -> None:
    """As a device's process notes it, of a writer of another process."""
    media = SimMedia(Random(1), 3, (Policy(0, "copies", default=True),))
    async with open_node(media, CrashPoint()) as node:
        store = node.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        await store.put(container, "o", b"data", HEAD)
        await trio.sleep(3)
        key = store.rows.key(container.id, container.shards, b"o")
        packed = index_key(key)
        first, *others = (node.devices[replica] for replica in store.rows.ring.replicas_all(ROWS, key.ring_hash))
        stamp = await first.find_stamp(packed)
        assert stamp is not None
        for other in others:
            other.forget_row(packed, stamp)
        first.note_in_doubt(packed)
        node.replicator.in_doubt.wake()
        await trio.sleep(1)
        assert [await other.find_stamp(packed) for other in others] == [stamp, stamp]
        assert await first.in_doubt(b"", 10) == []
