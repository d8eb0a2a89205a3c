"""An index entry that fails its checksum is no silence: it must not outvote the homes that know better."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, PreconditionError, QuorumError
from store.engine.row import index_key
from store.objects.model import Condition, ListingQuery, ObjectEntry, ObjectHead
from store.ring import ROWS
from tests.objects.conftest import POLICIES
from tests.simulation.house import House, Machine, open_house
from tests.simulation.supply import Supply

HEAD = ObjectHead("t", {})


async def _diverge(house: House, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first home has the newest version, but its index entry is damaged; the second missed that version."""
    store = house.store
    await store.put_account("a", {})
    container, _ = await store.put_container("a", "c", {})
    await store.put(container, "o", b"old", HEAD)
    key = store.rows.key(container.id, container.shards, b"o")
    first, second, _ = store.rows.ring.homes_all(ROWS, key.place)

    def away(*_: object) -> None:
        raise DeviceError("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.devices[second], "submit_row", away)
        await store.put(container, "o", b"newer", HEAD)
    for device in house.devices.values():
        await device.flush()
    entries = machine.indexes[first].entries
    value = entries[index_key(key)]
    entries[index_key(key)] = bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("by", ["read", "list"])
async def test_a_damaged_index_entry_is_not_silence(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    machine = Machine(Random(1), 3, POLICIES)
    async with open_house(machine, Supply()) as house:
        await _diverge(house, machine, monkeypatch)
        container = await house.store.container("a", "c")
        if by == "read":
            async with house.store.open(container, "o") as opened:
                assert opened.inline == b"newer"
        else:
            (entry,) = await house.store.list_objects(container, ListingQuery(10))
            assert isinstance(entry, ObjectEntry)
            assert entry.size == len(b"newer")
        await house.replicator.restorer.whole(house.store.rows.key(container.id, container.shards, b"o"))
        damages = sum(device.health.damages for device in house.devices.values())
        assert (await house.store.head(container, "o")).size == len(b"newer")
        assert sum(device.health.damages for device in house.devices.values()) == damages


@pytest.mark.parametrize("spoiled", range(3))
async def test_an_object_whose_entry_is_damaged_at_some_replicas_is_there(
    autojump_clock: MockClock, spoiled: int
) -> None:
    """At two of three even: neither is it absent, nor may it be overwritten on condition that it is."""
    machine = Machine(Random(1), 3, POLICIES)
    async with open_house(machine, Supply()) as house:
        store = house.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        await store.put(container, "o", b"data", HEAD)
        await trio.sleep(5)
        packed = index_key(store.rows.key(container.id, container.shards, b"o"))
        for number in house.devices:
            if number != spoiled:
                entries = machine.indexes[number].entries
                entries[packed] = bytes([entries[packed][0] ^ 1]) + entries[packed][1:]
        with pytest.raises(QuorumError):
            await store.head(container, "o")
        with pytest.raises((QuorumError, PreconditionError)):  # what the read met may be repaired by now
            await store.put(container, "o", b"new", HEAD, Condition(none_match=frozenset("*")))
        await trio.sleep(5)  # what was met is repaired
        assert (await store.head(container, "o")).size == len(b"data")
