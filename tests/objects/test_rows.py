"""Rows whose replicas differ: what is read, and what a write does to what is there."""

from __future__ import annotations

from random import Random

import trio
from trio.testing import MockClock

from store.engine.device import Device
from store.objects.store import ObjectUpload
from tests.replicator.clusters import HEAD, exists, key_of, media_of, opened, replicas_of
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.worker import Gate, SimWorker

LARGE = Random(1).randbytes(3 * BLOCK_BYTES)
HOUR_US = 3600 * 1_000_000


async def test_what_is_written_is_there_though_the_version_before_came_from_a_clock_that_is_ahead(
    autojump_clock: MockClock,
) -> None:
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"ahead", HEAD)
        rows = node.store.rows
        key, packed = key_of(node, container, "o")
        found = await rows.read(key, packed)
        assert found is not None
        row = await rows.load(key, packed, found)
        await rows.place(row._replace(stamp=row.stamp._replace(time_us=row.stamp.time_us + HOUR_US)), packed, rows.ring)
        await node.store.put(container, "o", b"new", HEAD)
        async with node.store.open(container, "o") as opened_row:
            assert opened_row.inline == b"new"


async def test_a_row_is_found_at_the_one_replica_that_has_it_and_is_to_be_believed(autojump_clock: MockClock) -> None:
    """Acknowledged by two: one of them was replaced since, and the third lags. That the new one has nothing counts for
    nothing."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = key_of(node, container, "o")[1]
        replaced, lagging, _ = (node.devices[replica] for replica in replicas_of(node, container, "o"))
        for device in (replaced, lagging):
            row = await device.find_row(packed)
            assert row is not None
            device.forget_row(packed, row.stamp)
        replaced.standing.in_sync = False
        assert await exists(node.store, container, "o")


def hold_log(device: Device) -> Gate:
    """The next records of the device's log are written when the gate opens."""
    worker = device._log_worker.inner
    assert isinstance(worker, SimWorker)
    gate = worker._gate = Gate()
    gate.shut = True
    return gate


async def test_a_replica_that_missed_the_commit_of_an_upload_does_not_keep_its_mark(autojump_clock: MockClock) -> None:
    """It says so when the upload is closed already."""
    async with opened(media_of(3)) as (node, container):
        late = node.devices[replicas_of(node, container, "o")[-1]]
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            await upload.digest()
            await trio.sleep(5)
            assert len(await late.uploads(b"", 10)) == 1
            gate = hold_log(late)
            await upload.commit(HEAD)
        node.media.disks[late.id].fail_syncs = 1
        gate.open()
        await trio.sleep(60)
        for device in node.devices.values():
            assert await device.uploads(b"", 10) == []
        assert await exists(node.store, container, "o")
