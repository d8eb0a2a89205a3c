"""An index entry that fails its checksum is no absence: it must not outvote the replicas that know better."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, PreconditionError, QuorumError
from store.device.row import index_key
from store.objects.model import Condition, ListingQuery, ObjectEntry, ObjectHead
from store.ring import ROWS
from tests.objects.conftest import POLICIES
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, SimNode, open_node

HEAD = ObjectHead("t", {})


async def _diverge(node: SimNode, media: SimMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first replica has the newest version, but its index entry is damaged; the second missed that version."""
    store = node.store
    await store.put_account("a", {})
    container, _ = await store.put_container("a", "c", {})
    await store.put(container, "o", b"old", HEAD)
    key = store.rows.key(container.id, container.shards, b"o")
    first, second, _ = store.rows.ring.replicas_all(ROWS, key.ring_hash)

    def away(*_: object, **_more: object) -> None:
        raise DeviceError("away")

    with monkeypatch.context() as patch:
        patch.setattr(node.devices[second], "submit_row", away)
        await store.put(container, "o", b"newer", HEAD)
    for device in node.devices.values():
        await device.flush()
    entries = media.indexes[first].entries
    value = entries[index_key(key)]
    entries[index_key(key)] = bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("by", ["read", "list"])
async def test_a_damaged_index_entry_is_not_absence(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    media = SimMedia(Random(1), 3, POLICIES)
    async with open_node(media, CrashPoint()) as node:
        await _diverge(node, media, monkeypatch)
        container = await node.store.container("a", "c")
        if by == "read":
            async with node.store.open(container, "o") as opened:
                assert opened.inline == b"newer"
        else:
            (entry,) = await node.store.list_objects(container, ListingQuery(10))
            assert isinstance(entry, ObjectEntry)
            assert entry.size == len(b"newer")
        await node.replicator.restorer.whole(node.store.rows.key(container.id, container.shards, b"o"))
        damages = sum(device.health.damages for device in node.devices.values())
        assert (await node.store.head(container, "o")).size == len(b"newer")
        assert sum(device.health.damages for device in node.devices.values()) == damages


@pytest.mark.parametrize("spoiled", range(3))
async def test_an_object_whose_entry_is_damaged_at_some_replicas_is_there(
    autojump_clock: MockClock, spoiled: int
) -> None:
    """At two of three even: neither is it absent, nor may it be overwritten on condition that it is."""
    media = SimMedia(Random(1), 3, POLICIES)
    async with open_node(media, CrashPoint()) as node:
        store = node.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        await store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = index_key(store.rows.key(container.id, container.shards, b"o"))
        for number in node.devices:
            if number != spoiled:
                entries = media.indexes[number].entries
                entries[packed] = bytes([entries[packed][0] ^ 1]) + entries[packed][1:]
        with pytest.raises(QuorumError):
            await store.head(container, "o")
        with pytest.raises((QuorumError, PreconditionError)):  # what the read met may be repaired by now
            await store.put(container, "o", b"new", HEAD, Condition(none_match=frozenset("*")))
        await trio.sleep(5)  # what was met is repaired
        assert (await store.head(container, "o")).size == len(b"data")


@pytest.mark.at_once("hundreds of stores: what answers late shows no more of any of them")
@pytest.mark.parametrize("name", ["o", "l" * 500])
@pytest.mark.parametrize("replica", range(3))
async def test_no_damaged_byte_of_an_entry_changes_a_listing(
    autojump_clock: MockClock, replica: int, name: str
) -> None:
    """Of the first replica each entry is verified; those of the others are compared with it."""
    media = SimMedia(Random(1), 3, POLICIES)
    async with open_node(media, CrashPoint()) as node:
        store = node.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        for number in range(3):
            await store.put(container, f"{name}{number}", b"data", HEAD)
        await trio.sleep(5)
        for device in node.devices.values():
            device.on_damage = None  # nobody repairs it
        wanted = await store.list_objects(container, ListingQuery(10))
        key = store.rows.key(container.id, container.shards, f"{name}1".encode())
        packed = index_key(key)
        entries = media.indexes[store.rows.ring.replicas_all(ROWS, key.ring_hash)[replica]].entries
        sound = entries[packed]
        for at in range(len(sound)):
            entries[packed] = sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :]
            assert await store.list_objects(container, ListingQuery(10)) == wanted
            entries[packed] = sound
        for short in range(len(sound)):
            entries[packed] = sound[:short]
            assert await store.list_objects(container, ListingQuery(10)) == wanted
            entries[packed] = sound
