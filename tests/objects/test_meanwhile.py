"""Containers and rows that come and go while somebody looks: a look may wait for a disk."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import ConflictError, NotFoundError
from store.core.wait_group import WaitGroup
from store.device.row import Row, RowKey, index_key
from store.engine.device import Device
from store.objects.model import ListingQuery
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import encode_headers
from store.objects.rows import Rows, prepare
from store.objects.tables import Tables
from tests.replicator.clusters import HEAD, exists, media_of, opened, put_out, slow_at


@pytest.mark.at_once("about the order of two look-ups")
async def test_a_delete_that_waited_does_not_delete_the_next_container_of_that_name(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        store = node.store
        await trio.sleep(5)
        account_key = store.tables._account_key("a")
        packed = index_key(account_key)
        key_of = Tables._container_key

        async def meanwhile() -> None:
            await store.delete_container("a", "c")
            made, _ = await store.put_container("a", "c", {})
            await store.put(made, "o", b"acknowledged", HEAD)

        armed: list[int] = []

        async def second(self: Tables, account: str, name: str) -> RowKey:
            # what is remembered of the account goes (a device is back, say) after the container was looked up
            if sys_calls and not armed:
                armed.append(1)
                self._accounts.clear()
            sys_calls.append(1)
            return await key_of(self, account, name)

        sys_calls: list[int] = []
        store.tables.forget()
        monkeypatch.setattr(Tables, "_container_key", second)
        looks = slow_at(monkeypatch, lambda _device: bool(armed), packed, meanwhile)
        with pytest.raises((ConflictError, NotFoundError)):
            await store.delete_container("a", "c")
        monkeypatch.undo()
        assert looks
        again = await store.container("a", "c")
        assert await exists(store, again, "o")


async def test_nothing_is_acknowledged_below_a_container_that_was_deleted_while_it_was_looked_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        store = node.store
        await trio.sleep(5)
        store.tables.forget()
        load = Rows.load
        calls: list[int] = []
        ckey = index_key(await store.tables._container_key("a", "c"))

        async def slowly(self: Rows, key: RowKey, packed: bytes, found: ReadRow, *, payload: bool = True) -> Row:
            row = await load(self, key, packed, found, payload=payload)
            if packed == ckey and not calls:
                calls.append(1)
                await store.delete_container("a", "c")
            return row

        monkeypatch.setattr(Rows, "load", slowly)
        acknowledged = True
        try:
            await store.put(container, "o", b"data", HEAD)
        except NotFoundError:
            acknowledged = False
        assert calls
        monkeypatch.undo()
        gone = False
        try:
            await store.container("a", "c")
        except NotFoundError:
            gone = True
        assert not (acknowledged and gone)


async def test_a_read_of_what_is_always_overwritten_comes_to_an_end(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        store = node.store
        await store.put(container, "o", b"0", HEAD)
        await trio.sleep(5)
        for device in node.devices.values():
            device._index.lies_in_memory = lambda: False  # type: ignore[method-assign]
            device._lookups.in_memory = False
        await trio.sleep(1)
        key = store.rows.key(container.id, container.shards, b"o")
        packed = index_key(key)
        count = [0]
        busy = [False]

        def wrapped(name: str) -> None:
            look = getattr(Device, name)

            async def slowly(self: Device, k: bytes) -> object:
                if k == packed and not busy[0] and count[0] < 20000:
                    busy[0] = True
                    count[0] += 1
                    await store.put(container, "o", b"%d" % count[0], HEAD)
                    busy[0] = False
                return await look(self, k)

            monkeypatch.setattr(Device, name, slowly)

        wrapped("find_row")
        wrapped("find_stamp")
        try:
            await store.rows.read(key, packed)
        finally:
            assert count[0] < 100


@pytest.mark.at_once("requests in all turns of the loop leave no time to pass")
async def test_what_is_remembered_of_a_container_is_what_a_repair_brought(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version that one replica has is brought to the others, while requests look the container up."""
    async with opened(media_of(3)) as (node, _):
        store = node.store
        await trio.sleep(5)
        key = await store.tables._container_key("a", "c")
        packed = index_key(key)
        replicas = [node.devices[h] for h in store.rows.ring.replicas_all(0, key.ring_hash)]
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), detail=encode_headers({"x": "new"}))
        written = WaitGroup()
        written.add()
        replicas[2].submit_row(prepare(newer, store.rows.ring.epoch, packed), lambda _, error: written.done(error))
        await written.wait()
        assert (await store.container("a", "c")).headers == {}
        stop = trio.Event()

        async def requests() -> None:
            while not stop.is_set():
                await store.container("a", "c")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(requests)
            await node.replicator.restorer.whole(key)
            stop.set()
        await trio.sleep(1)
        stamps = {await replica.find_stamp(packed) for replica in replicas}
        assert stamps == {newer.stamp.pack()}
        assert (await store.container("a", "c")).headers == {"x": "new"}


async def test_a_listing_does_without_a_device_that_goes_out_while_others_are_asked(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        for n in range(10):
            await node.store.put(container, f"o{n}", b"data", HEAD)
        await trio.sleep(5)
        for device in node.devices.values():
            device._index.lies_in_memory = lambda: False  # type: ignore[method-assign]
            device._lookups.in_memory = False
        submit_list = Device.submit_list
        seen: list[int] = []

        def goes(self: Device, *args: object, **more: object) -> None:
            if seen and self.id not in seen and len(seen) == 1:
                put_out(node, seen[0])
            seen.append(self.id)
            submit_list(self, *args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(Device, "submit_list", goes)
        assert len(await node.store.list_objects(container, ListingQuery(limit=100))) == 10
