"""Whose uploads a janitor ends, and that it is safe where it is wrong about who lives."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DrystoneError, RetryableError
from store.core.wait_group import WaitGroup
from store.device.row import Flag, RowKey, index_key
from store.objects.model import Container
from store.objects.store import DeviceStore, ObjectUpload
from store.objects.upload import intent_row
from store.replicator.progress import ProgressTable
from store.replicator.step import CollectStep
from store.replicator.upload_janitor import LOOK_SECONDS, OnlyOne, UploadJanitor
from tests.replicator.clusters import HEAD, exists, media_of, opened, put_out
from tests.replicator.processes import Second, second_process
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.object_checks import read_value
from tests.simulation.world import SimClock

pytestmark = pytest.mark.own_devices("the second process is behind links")
LARGE = Random(1).randbytes(3 * BLOCK_BYTES)


class Known:
    """What is known of lives, as the test says it."""

    def __init__(self) -> None:
        self.over: set[bytes] = set()
        self.silent: set[bytes] = set()

    def is_over(self, life: bytes) -> bool:
        return life in self.over

    def is_silent(self, life: bytes) -> bool:
        return life in self.silent


def knowing(node: SimNode) -> Known:
    """The janitor of a node hears of lives from this."""
    lives = node.replicator.janitor._lives = Known()
    return lives


async def begun(store: DeviceStore, container: Container, name: str = "o") -> ObjectUpload:
    """An upload that has only to be committed."""
    upload = store.upload(container, name)
    assert isinstance(upload, ObjectUpload)
    await upload.__aenter__()
    await upload.write(LARGE)
    await upload.digest()
    return upload


async def left_of(node: SimNode, data_id: bytes) -> tuple[int, int]:
    """How many devices have the data, and how many the intent, of an upload."""
    blocks = intents = 0
    for device in node.devices.values():
        blocks += bool(await device.has_blocks(data_id))
        intents += data_id in dict(await device.uploads(b"", 100))
    return blocks, intents


async def leave_intent(node: SimNode, key: RowKey, data_id: bytes, life: bytes) -> None:
    written = WaitGroup()
    intent = intent_row(key, data_id, life)._replace(stamp=node.store.rows.stamps.next())
    for device in node.devices.values():
        written.add()
        device.submit_row(node.store.rows.prepare(intent), lambda _, error: written.done(error))
    await written.wait()


async def test_an_intent_and_its_abort_record_name_the_life_of_who_uploads(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        lives = knowing(node)
        upload = await begun(second.store, container)
        packed = index_key(intent_row(upload._key, upload._data.data_id, b"").key)
        for flags in (0, Flag.ABORT):
            for device in node.devices.values():
                row = await device.find_row(packed)
                assert row is not None
                assert (row.detail, row.flags & Flag.ABORT) == (second.store.life, flags)
            lives.over.add(second.store.life)
            await node.replicator.gone()
            await trio.sleep(20)


async def test_an_upload_of_a_process_that_lives_is_left_alone(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        knowing(node)
        upload = await begun(second.store, container)
        await node.replicator.gone()  # another one
        await trio.sleep(LOOK_SECONDS + 60)
        assert node.replicator.janitor.targets() == []
        await upload.commit(HEAD)
        await upload.__aexit__(None, None, None)
        assert await read_value(node.store, container, "o") == ("m", LARGE)


async def test_an_upload_of_a_life_that_is_over_is_ended_when_the_process_goes_away(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        lives = knowing(node)
        upload = await begun(second.store, container)
        second.members.clear()
        lives.over.add(second.store.life)
        lives.silent.add(second.store.life)
        await node.replicator.gone()
        await trio.sleep(20)
        assert await left_of(node, upload._data.data_id) == (0, 0)


async def test_who_was_taken_to_be_dead_and_lives_commits_nothing(autojump_clock: MockClock) -> None:
    """Its data are gone, so its commit is to be refused for as long as it may come."""
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        lives = knowing(node)
        upload = await begun(second.store, container)
        data_id = upload._data.data_id
        second.members.clear()
        lives.over.add(second.store.life)
        await node.replicator.gone()
        await trio.sleep(400)
        assert await left_of(node, data_id) == (0, 3)
        with pytest.raises(RetryableError, match="send it again"):
            await upload.commit(HEAD)
        await upload.__aexit__(None, None, None)
        assert not await exists(node.store, container, "o")
        lives.silent.add(second.store.life)
        await trio.sleep(400)
        assert await left_of(node, data_id) == (0, 0)
        assert node.replicator.janitor.targets() == []
        assert len(node.store.pins) == 0


async def test_what_is_left_is_found_later_too(autojump_clock: MockClock) -> None:
    """Who was taken to be dead went on to begin an upload."""
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        lives = knowing(node)
        lives.over.add(second.store.life)
        lives.silent.add(second.store.life)
        second.members.clear()
        await node.replicator.gone()
        upload = await begun(second.store, container)
        await trio.sleep(5)  # the last intent may come later than a quorum of them
        assert await left_of(node, upload._data.data_id) == (3, 3)
        await trio.sleep(LOOK_SECONDS + 60)
        assert await left_of(node, upload._data.data_id) == (0, 0)


async def test_an_intent_of_an_older_program_is_that_of_a_life_that_is_over(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        knowing(node)
        key = node.store.rows.key(container.id, container.shards, b"o")
        await leave_intent(node, key, b"D" * 16, b"")
        assert await left_of(node, b"D" * 16) == (0, 3)
        await node.replicator.gone()
        await trio.sleep(20)
        assert await left_of(node, b"D" * 16) == (0, 0)


async def test_what_others_have_left_of_an_upload_of_a_life_that_goes_on_is_found_by_it(
    autojump_clock: MockClock,
) -> None:
    """They took it for dead, or a device came back with an intent that it had forgotten: on no device of its own."""
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        knowing(node)
        step = CollectStep(second.store, node.replicator.rebalancer._step)
        janitor = UploadJanitor(second.store, Known(), ProgressTable(SimClock()), step)
        node.nursery.start_soon(janitor.run)
        key = node.store.rows.key(container.id, container.shards, b"o")
        upload = await begun(second.store, container, "under way")
        for find in (janitor.find_left_behind(second.store.devices.values()), trio.sleep(LOOK_SECONDS)):
            await leave_intent(node, key, b"D" * 16, second.store.life)
            await leave_intent(node, key, b"E" * 16, b"another")
            await trio.sleep(20)
            assert await left_of(node, b"D" * 16) == (0, 3)
            await find
            await trio.sleep(20)
            assert await left_of(node, b"D" * 16) == (0, 0)
            assert await left_of(node, b"E" * 16) == (0, 3)
        await upload.commit(HEAD)
        await upload.__aexit__(None, None, None)
        assert await read_value(node.store, container, "under way") == ("m", LARGE)


async def test_an_upload_of_a_life_that_is_not_over_after_all_is_left_to_it(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        lives = knowing(node)
        upload = await begun(second.store, container)
        put_out(node, 2)
        lives.over.add(second.store.life)
        await node.replicator.gone()
        await trio.sleep(20)
        assert node.replicator.janitor.targets() == [upload._key]
        lives.over.clear()
        await trio.sleep(400)
        assert node.replicator.janitor.targets() == []
        await upload.commit(HEAD)
        await upload.__aexit__(None, None, None)
        assert await read_value(node.store, container, "o") == ("m", LARGE)


@pytest.mark.parametrize("own", [True, False])
async def test_an_intent_is_forgotten_also_where_what_was_said_was_lost_with_the_link(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        second.store.own = second.store.devices if own else {}
        step = CollectStep(second.store, node.replicator.rebalancer._step)
        janitor = UploadJanitor(second.store, Known(), ProgressTable(SimClock()), step)
        upload = await begun(second.store, container)
        data_id = upload._data.data_id
        await upload.__aexit__(None, None, None)
        janitor.add(upload._key, data_id)
        for device in second.store.devices.values():
            monkeypatch.setattr(device, "forget_row", lambda _packed, _stamp: None)
        await janitor.clean_all()
        assert await left_of(node, data_id) == (0, 3)
        monkeypatch.undo()
        await janitor.clean_all()
        assert await left_of(node, data_id) == (0, 0)
        assert janitor.targets() == []


async def test_a_process_that_is_alone_ends_what_all_lives_before_it_left() -> None:
    lives = OnlyOne(b"own")
    assert (lives.is_over(b"own"), lives.is_silent(b"own")) == (False, False)
    assert (lives.is_over(b"other"), lives.is_silent(b"other")) == (True, True)


async def test_a_life_has_an_id_of_its_own(autojump_clock: MockClock) -> None:
    media = media_of(3)
    async with opened(media) as (node, _):
        first = node.store.life
    async with opened(media) as (node, _):
        assert node.store.life != first


@pytest.mark.at_once("the order in which devices answer is drawn here")
@pytest.mark.parametrize("seed", range(12))
async def test_two_janitors_and_a_commit_at_once(autojump_clock: MockClock, seed: int) -> None:
    """Each process ends what it finds of a third that was taken to be dead, while that commits after all: then the
    object is there with all its data, or nothing of it is."""
    random = Random(seed)
    async with opened(media_of(3)) as (node, container), second_process(node) as dead:
        lives = knowing(node)
        other = Second(node)
        other.members.clear()
        node.nursery.start_soon(other.run)
        await other.reached()
        other.store.own = other.store.devices
        step = CollectStep(other.store, node.replicator.rebalancer._step)
        janitor = UploadJanitor(other.store, lives, ProgressTable(SimClock()), step)
        upload = await begun(dead.store, container)
        lives.over.add(dead.store.life)
        committed: list[bool] = []

        async def commit() -> None:
            await trio.sleep(random.random() / 100)
            try:
                await upload.commit(HEAD)
            except DrystoneError:
                committed.append(False)
            else:
                committed.append(True)
            await upload.__aexit__(None, None, None)

        async def end(ending: UploadJanitor) -> None:
            await trio.sleep(random.random() / 100)
            await ending.find_all_left_behind()
            for _ in range(5):
                await ending.clean_all()
                await trio.sleep(random.random())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            nursery.start_soon(end, node.replicator.janitor)
            nursery.start_soon(end, janitor)
        data_id = upload._data.data_id
        if await exists(node.store, container, "o"):
            assert await read_value(node.store, container, "o") == ("m", LARGE)
        else:
            assert committed == [False]
            assert (await left_of(node, data_id))[0] == 0
        lives.silent.add(dead.store.life)
        for each in (node.replicator.janitor, janitor):
            await each.clean_all()
        await trio.sleep(1)
        assert (await left_of(node, data_id))[1] == 0
        assert node.replicator.janitor.targets() == janitor.targets() == []
