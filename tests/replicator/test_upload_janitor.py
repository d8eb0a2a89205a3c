"""Settling: data of an upload are dropped only when every replica is known to refuse its commit."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.stamp import Stamp
from store.core.wait_group import WaitGroup
from store.device.promise import Promise, prepare_promise
from store.device.row import PREFIX_BYTES, UPLOAD, Flag, IndexRow, index_key
from store.objects.store import DeviceStore, ObjectUpload, OpenRow
from store.objects.upload import intent_row
from store.replicator import upload_janitor
from store.replicator.drop import Drop
from tests.replicator.clusters import HEAD, media_of, opened, put_out, write
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import engine_of
from tests.simulation.worker import SimWorker

LARGE = Random(1).randbytes(3 * BLOCK_BYTES)


async def test_an_abort_record_that_did_not_take_effect_is_not_taken_for_one_that_did(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intent of the upload was written by a clock that is ahead: an abort record by ours is older than that."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        rows = node.store.rows
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            await upload.digest()
            data_id, intent = upload._data.data_id, intent_row(upload._key, upload._data.data_id, b"")
            ahead = Stamp(rows.stamps.next().time_us + 3600 * 1_000_000, 9)
            written = WaitGroup()
            for device in node.devices.values():
                written.add()
                device.submit_row(rows.prepare(intent._replace(stamp=ahead)), lambda _, error: written.done(error))
            await written.wait()
            in_force = []

            class Watched(Drop):
                def __init__(self, store: DeviceStore, data_id: bytes, places: Iterable[int]) -> None:
                    for device in store.devices.values():
                        row = engine_of(device).row_table.row(index_key(intent.key))
                        in_force.append(row is not None and bool(row.flags & Flag.ABORT))
                    super().__init__(store, data_id, places)

            monkeypatch.setattr(upload_janitor, "Drop", Watched)
        await trio.sleep(20)
        assert in_force == [True] * 3
        for device in node.devices.values():
            assert not await device.has_blocks(data_id)


async def test_nothing_is_dropped_while_a_promise_keeps_an_abort_record_out(autojump_clock: MockClock) -> None:
    """The replica would take the commit still."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        rows = node.store.rows
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            await upload.digest()
            data_id, key = upload._data.data_id, upload._key
            intent = intent_row(key, data_id, b"")
            ahead = Stamp(rows.stamps.next().time_us + 100 * 1_000_000, 9)
            promised = WaitGroup()
            promised.add()
            node.devices[0].submit_promise(
                prepare_promise(Promise(intent.key, ahead), rows.ring.epoch),
                lambda _device, _seen, error: promised.done(error),
            )
            await promised.wait()
        await trio.sleep(20)
        assert node.replicator.janitor.targets() == [key]
        for device in node.devices.values():
            assert await device.has_blocks(data_id)
        await trio.sleep(500)
        assert node.replicator.janitor.targets() == []
        for device in node.devices.values():
            assert not await device.has_blocks(data_id)


async def test_nothing_is_dropped_while_a_replica_cannot_be_asked(autojump_clock: MockClock) -> None:
    async with opened(media_of(4)) as (node, container):
        await trio.sleep(5)
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            await upload.digest()
            data_id, key = upload._data.data_id, upload._key
            replica = node.store.rows.ring.replicas_all(0, key.ring_hash)[2]
            put_out(node, replica)
        await trio.sleep(1000)
        for device in node.devices.values():
            if device.id in upload._data.placement.data_location.devices and device.id != replica:  # type: ignore[union-attr]
                assert await device.has_blocks(data_id)
        assert node.replicator.janitor.targets() == [key]
        await node.bring_back(replica)
        await trio.sleep(1000)
        assert node.replicator.janitor.targets() == []
        for device in node.devices.values():
            assert not await device.has_blocks(data_id)
            assert await device.find_row(index_key(intent_row(key, data_id, b"", Flag.ABORT).key)) is None


async def test_a_device_that_comes_while_intents_are_forgotten_stops_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking a device may take a while, and which there are may change meanwhile."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        device = node.store.devices[0]
        ask = device.find_row

        async def slowly(packed: bytes) -> IndexRow | None:
            if packed[PREFIX_BYTES : PREFIX_BYTES + len(UPLOAD)] == UPLOAD:
                node.devices.setdefault(9, node.devices[0])
            return await ask(packed)

        monkeypatch.setattr(device, "find_row", slowly)
        async with node.store.upload(container, "o") as upload:
            await upload.write(LARGE)
        await trio.sleep(20)
        del node.devices[9]
        assert node.replicator.janitor.targets() == []
        for device in node.devices.values():
            assert await device.uploads(b"", 10) == []


async def test_no_block_comes_behind_the_drop_of_an_upload_that_was_given_up(autojump_clock: MockClock) -> None:
    """It was still being hashed when the upload was closed."""
    async with opened(media_of(3)) as (node, container):
        gates = [worker._gate for worker in node.store._hash_workers if isinstance(worker, SimWorker)]
        for gate in gates:
            gate.shut = True
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
        await trio.sleep(20)
        assert node.replicator.janitor.targets() == []
        for gate in gates:
            gate.open()
        await trio.sleep(1)
        await write(node.store, container, "other", LARGE)  # has all devices sync what they were sent
        await trio.sleep(5)
        for device in node.devices.values():
            assert not await device.has_blocks(upload._data.data_id)


async def test_data_that_are_read_stay_though_nobody_knows_that_they_were_committed(autojump_clock: MockClock) -> None:
    """The outcome of the commit was unknown to the uploader; the object was opened, and then overwritten."""
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", LARGE)
        await trio.sleep(5)
        async with node.store.open(container, "o") as opened_row:
            assert isinstance(opened_row, OpenRow)
            data_id = opened_row._data_id
            await node.store.put(container, "o", b"new", HEAD)
            await trio.sleep(5)
            node.replicator.janitor.add(opened_row._key, data_id)
            await trio.sleep(20)
            assert b"".join([bytes(piece) async for piece in opened_row.read()]) == LARGE
        await trio.sleep(1000)
        assert node.replicator.janitor.targets() == []
        for device in node.devices.values():
            assert not await device.has_blocks(data_id)
