"""Hints: what a replica missed is brought to it when it is back, without a scrub, whatever happened meanwhile."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import BarredError, DrystoneError, QuorumError
from store.core.stamp import Stamp
from store.core.wait_group import WaitGroup
from store.core.worker import Done
from store.device.port import Applied
from store.device.promise import Promise, prepare_promise
from store.device.row import RowKey
from store.engine.device import Device
from store.objects.model import Container, ObjectHead, Policy
from store.objects.store import ObjectUpload
from store.replicator import hints as module
from store.replicator.hints import SCHEDULE
from store.replicator.scrub import Scrubber
from store.ring import ROWS
from tests.answering import AT_ONCE
from tests.replicator.clusters import (
    COPIES,
    HEAD,
    close,
    exists,
    key_of,
    media_of,
    opened,
    put_out,
    replicas_of,
    stamps_of,
    write,
)
from tests.simulation.disk import SimDisk
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode

CODE = (Policy(0, "code", k=2, m=2, codec="zfec", default=True),)
LARGE = Random(1).randbytes(3 * BLOCK_BYTES)
ENOUGH = 3 * SCHEDULE.every


@pytest.fixture(autouse=True)
def _no_scrub(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scrub(_self: Scrubber) -> None:
        pytest.fail("a scrub is not what brings this")

    monkeypatch.setattr(Scrubber, "_pass", scrub)


async def hints_for(node: SimNode, number: int) -> int:
    count = 0
    for device in node.devices.values():
        if device.health.failed is None:
            count += len(await device.hints(number, b"", 10_000))
    return count


@pytest.mark.parametrize("restart", [False, True], ids=["in the running program", "over a restart"])
async def test_rows_missed_while_out_are_brought_within_seconds(
    autojump_clock: MockClock, answering: str, restart: bool
) -> None:
    media = media_of(4)
    names = [f"o{number}" for number in range(300)]
    async with opened(media) as (node, container):
        for name in names[:200]:
            await node.store.put(container, name, b"before", HEAD)
        await trio.sleep(5)
        away = replicas_of(node, container, names[-1])[-1]
        node.take_away(away)
        for name in names[100:]:
            await node.store.put(container, name, b"data", HEAD)
        for name in names[:50]:
            await node.store.delete(container, name)
        await trio.sleep(600)
        assert await hints_for(node, away) > 0
        if not restart:
            await node.bring_back(away)
            await trio.sleep(ENOUGH if answering == AT_ONCE else 4 * ENOUGH)
            await check_caught_up(node, container, names)
            return
        for device in node.devices.values():
            if device.id != away:
                await device.close()
    media.absent.clear()
    async with opened(media) as (node, container):
        await trio.sleep(ENOUGH if answering == AT_ONCE else 4 * ENOUGH)
        await check_caught_up(node, container, names)


async def check_caught_up(node: SimNode, container: Container, names: list[str]) -> None:
    for name in names:
        assert len(set(await stamps_of(node, container, name))) == 1, name
    for number in node.devices:
        assert await hints_for(node, number) == 0
    assert not await exists(node.store, container, names[0])


async def test_what_a_promise_kept_out_is_a_hint_until_it_is_settled(
    autojump_clock: MockClock, answering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was given the promise may be gone, and write nothing above it."""

    async def cannot(_key: RowKey, _packed: bytes) -> None:
        raise QuorumError("promising a row", 2, 0, {})

    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"old", HEAD)
        await trio.sleep(5)
        key, packed = key_of(node, container, "o")
        rows = node.store.rows
        barring = replicas_of(node, container, "o")[1]
        before = await node.devices[barring].find_stamp(packed)
        ahead = Promise(key, Stamp(rows.stamps.next().time_us + 100 * 1_000_000, 9))
        promised = WaitGroup()
        promised.add()
        node.devices[barring].submit_promise(
            prepare_promise(ahead, rows.ring.epoch), lambda _device, _seen, error: promised.done(error)
        )
        await promised.wait()
        monkeypatch.setattr(rows, "settle", cannot)
        await node.store.put(container, "o", b"new", HEAD)
        await trio.sleep(ENOUGH)
        assert await hints_for(node, barring) > 0
        assert await node.devices[barring].find_stamp(packed) == before
        found = await rows.read(key, packed)
        assert found is not None
        write = rows.prepare(await rows.load(key, packed, found), packed)
        answers: list[tuple[Applied | None, DrystoneError | None]] = []
        rows.bring(write, node.devices[barring], lambda applied, error: answers.append((applied, error)))
        await trio.sleep(5)
        ((applied, error),) = answers
        assert applied is None
        assert isinstance(error, BarredError)
        monkeypatch.undo()
        await trio.sleep(10 * ENOUGH)
        (settled,) = set(await stamps_of(node, container, "o"))
        assert settled is not None
        assert settled > ahead.stamp.pack()
        assert await hints_for(node, barring) == 0


@pytest.mark.parametrize("policies", [COPIES, CODE], ids=["copies", "code"])
async def test_data_missed_while_out_are_brought(autojump_clock: MockClock, policies: tuple[Policy, ...]) -> None:
    async with opened(media_of(4, policies)) as (node, container):
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(LARGE)
            placement = upload._data.placement
            assert placement is not None
            out = placement.data_location.devices[-1]
            node.take_away(out)
            await upload.write(LARGE)
            await upload.commit(HEAD)
        await trio.sleep(5)
        await node.bring_back(out)
        await trio.sleep(ENOUGH)
        held = await node.devices[out].has_blocks(upload._data.data_id)
        assert len(held) == 6
        assert await hints_for(node, out) == 0


async def test_data_that_were_dropped_while_a_device_was_out_are_dropped_there_too(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        data_ids = []
        for name in ("o", "p"):
            async with node.store.upload(container, name) as upload:
                assert isinstance(upload, ObjectUpload)
                await upload.write(LARGE)
                await upload.commit(HEAD)
            data_ids.append(upload._data.data_id)
        await trio.sleep(5)
        node.take_away(0)
        await node.store.delete(container, "o")
        await write(node.store, container, "p", LARGE)
        await trio.sleep(10)
        for device in node.devices.values():
            if device.id:
                assert await device.garbage(b"", 10) == []
        await node.bring_back(0)
        await trio.sleep(ENOUGH)
        for data_id in data_ids:
            assert await node.devices[0].has_blocks(data_id) == []
        assert await hints_for(node, 0) == 0


async def test_what_is_missed_while_hints_are_replayed_is_not_forgotten(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        node.take_away(0)
        await node.store.put(container, "o", b"first", HEAD)
        await trio.sleep(1)
        has = module.Hints._has

        async def missed_again(self: module.Hints, target: Device, hint: object) -> bool:
            done = await has(self, target, hint)  # type: ignore[arg-type]
            if done and target.failed is None and target.id == 0 and not monkeypatched:
                monkeypatched.append(True)
                node.take_away(0)
                await node.store.put(container, "o", b"second", HEAD)
            return done

        monkeypatched: list[bool] = []
        monkeypatch.setattr(module.Hints, "_has", missed_again)
        await node.bring_back(0)
        await trio.sleep(ENOUGH)
        assert monkeypatched
        assert await hints_for(node, 0) > 0
        await node.bring_back(0)
        await trio.sleep(2 * ENOUGH)
        assert len(set(await stamps_of(node, container, "o"))) == 1


async def test_a_device_that_is_full_gets_what_it_refused_when_it_has_room(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        full = node.devices[2]
        full._options.reserve_bytes = 1 << 50
        full.room.look()
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(100)
        assert None in await stamps_of(node, container, "o")
        full._options.reserve_bytes = 0
        await trio.sleep(2 * SCHEDULE.retry_max)
        assert len(set(await stamps_of(node, container, "o"))) == 1


async def test_a_failed_commit_is_made_good_though_the_device_is_well(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        last = replicas_of(node, container, "o")[-1]
        node.media.disks[last].fail_syncs = 1
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(2 * ENOUGH)
        assert node.devices[last].health.failed is None
        assert len(set(await stamps_of(node, container, "o"))) == 1


class Hanging:
    """A worker that never comes to an end."""

    def submit(self, job: object, done: Done) -> None:
        """It hangs."""

    def close(self) -> None:
        """As before."""


@pytest.mark.own_devices("of another process's device it is put in doubt")
async def test_a_device_that_hangs_is_counted_as_lacking_what_it_does_not_answer(autojump_clock: MockClock) -> None:
    """Were the program killed then, nothing else would know."""
    media = media_of(3)
    async with opened(media) as (node, container):
        await trio.sleep(5)
        replicas = replicas_of(node, container, "o")
        node.devices[replicas[-1]]._committer._worker = Hanging()
        await node.store.put(container, "o", b"data", HEAD)
        assert await hints_for(node, replicas[-1]) == 0
        await trio.sleep(2)
        assert await hints_for(node, replicas[-1]) == 2


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["row", "data"])
async def test_what_a_slow_device_lost_in_a_crash_is_brought_though_the_index_has_the_row(
    autojump_clock: MockClock, data: bytes
) -> None:
    media = media_of(3)
    async with opened(media) as (node, container):
        await trio.sleep(5)
        slow = replicas_of(node, container, "o")[-1]
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(data)
            disk = node.devices[slow]._disk
            assert isinstance(disk, SimDisk)
            disk.gate.shut = True
            await upload.commit(HEAD)
        await trio.sleep(0.1)
        for device in node.devices.values():
            if device.id != slow:
                await device.flush()
        media.lose_power()
        node.take_away(slow)  # or the end of this life would wait for what hangs
        media.absent.clear()
    async with opened(media) as (node, container):
        await trio.sleep(ENOUGH)
        assert len(set(await stamps_of(node, container, "o"))) == 1
        if data is LARGE:
            assert len(await node.devices[slow].has_blocks(upload._data.data_id)) == 3


async def test_what_a_crash_took_of_the_hints_is_found_by_the_in_doubt_writes(autojump_clock: MockClock) -> None:
    """The index was not written since. A device that is away at the start as well gets it when it comes."""
    media = media_of(3)
    async with opened(media) as (node, container):
        for device in node.devices.values():
            device._options.flush_seconds = 1e6
        await trio.sleep(5)
        node.take_away(0)
        await node.store.put(container, "o", b"data", HEAD)
        await trio.sleep(1)
    media.disks[0].broken = True
    async with opened(media) as (node, container):
        assert await hints_for(node, 0) > 0
        media.disks[0].broken = False
        await node.bring_back(0)
        await trio.sleep(ENOUGH)
        assert len(set(await stamps_of(node, container, "o"))) == 1


async def test_a_device_that_has_left_the_ring_is_pending_nothing(autojump_clock: MockClock) -> None:
    async with opened(media_of(5)) as (node, container):
        gone = replicas_of(node, container, "o0")[-1]
        put_out(node, gone)
        for number in range(50):
            await node.store.put(container, f"o{number}", b"data", HEAD)
        await trio.sleep(5)
        assert await hints_for(node, gone) > 0
        node.media.change_ring(lambda builder: builder.remove(gone))
        await node.follow_ring()
        await trio.sleep(120)
        assert gone not in node.store.rows.ring.devices
        assert await hints_for(node, gone) == 0


@pytest.mark.at_once("about one round")
async def test_what_is_one_loss_from_gone_comes_first(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = (Policy(0, "three", replicas=3, default=True), Policy(1, "two", replicas=2))
    order = []
    bring = module.Hints._bring_data

    async def note(self: module.Hints, target: Device, data: module._Data) -> None:
        order.append((data.to_spare, data.key.name))
        await bring(self, target, data)

    monkeypatch.setattr(module.Hints, "_bring_data", note)
    async with opened(media_of(3, policies)) as (node, container):
        two, _ = await node.store.put_container("a", "two", {}, 1)
        for number in range(12):
            await write(node.store, container, f"three {number}", LARGE)
            await write(node.store, two, f"two {number}", LARGE)
        await trio.sleep(5)
        for device in node.devices.values():
            for packed, row in (await device.walk_rows(b"", 1000))[0]:
                if row.data_id:
                    node.store.rows.missed(packed, [0], [device.id])
        await trio.sleep(ENOUGH)
        spare = [to_spare for to_spare, _ in order]
        assert spare == sorted(spare)
        assert {name[:3] for to_spare, name in order if to_spare == 0} == {b"two"}
        assert {name[:3] for to_spare, name in order if to_spare == 1} == {b"thr"}


async def test_marks_of_uploads_are_not_hinted(autojump_clock: MockClock) -> None:
    """They are the janitor's: one that a commit has removed elsewhere must not come back."""
    async with opened(media_of(3)) as (node, container):
        node.take_away(1)
        async with node.store.upload(container, "o") as upload:
            await upload.write(LARGE)
        await trio.sleep(5)
        for device in node.devices.values():
            if device.health.failed is None:
                assert [key for key, _ in await device.hints(1, b"", 100) if key[:1] == b"r" and b"\0u" in key] == []


async def test_a_row_goes_to_replicas_only(autojump_clock: MockClock) -> None:
    """The layout has changed since the hint was noted."""
    async with opened(media_of(4)) as (node, container):
        (other,) = node.devices.keys() - set(replicas_of(node, container, "o"))
        await node.store.put(container, "o", b"data", ObjectHead("t"))
        key, packed = key_of(node, container, "o")
        node.store.rows.missed(packed, [other], replicas_of(node, container, "o"))
        await trio.sleep(ENOUGH)
        assert await node.devices[other].find_stamp(packed) is None
        assert await hints_for(node, other) == 0
        assert other not in node.store.rows.ring.replicas_all(ROWS, key.ring_hash)
        await close(node)


@pytest.mark.parametrize("deleted", [False, True])
async def test_what_one_keeps_that_is_no_replica_any_more_is_brought_to_nobody(
    autojump_clock: MockClock, *, deleted: bool
) -> None:
    """It has missed that the row was replaced, with all of its data, or deleted, and that this is forgotten."""
    async with opened(media_of(4)) as (node, container):
        (other,) = node.devices.keys() - set(replicas_of(node, container, "o"))
        await write(node.store, container, "o", LARGE)
        key, packed = key_of(node, container, "o")
        found = await node.store.rows.read(key, packed)
        assert found is not None
        stale = node.store.rows.prepare(await node.store.rows.load(key, packed, found), packed)
        told = WaitGroup()
        told.add()
        node.devices[other].submit_row(stale, lambda _, error: told.done(error))
        await told.wait()
        await trio.sleep(5)
        if deleted:
            await node.store.delete(container, "o")
        else:
            await write(node.store, container, "o", b"new")
        await trio.sleep(5)
        await node.replicator.tombstones.collect_tombstones()
        await trio.sleep(60)
        target = replicas_of(node, container, "o")[0]
        node.devices[other].note_hint(target, packed, 1)
        await trio.sleep(ENOUGH)
        assert await hints_for(node, target) == 0
        assert await exists(node.store, container, "o") != deleted
        assert len(set(await stamps_of(node, container, "o"))) == 1
