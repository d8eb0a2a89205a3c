"""Writes that a crash left at one home: whatever is shown after the start stays so."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.countdown import Countdown
from store.core.errors import DamageError, DeviceError, NotFoundError
from store.core.worker import Done
from store.engine.device import Device
from store.engine.row import SYSTEM, Row, index_key
from store.engine.view import Applied
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.rows import Rows, prepare
from store.objects.store import DeviceStore
from store.replicator.doubts import decide
from store.replicator.repair import Repairer
from store.replicator.settle import Settler
from store.ring import ROWS
from tests.simulation.house import House, Machine, open_house
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.supply import PowerLoss, Supply

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
    return data, [entry.size for entry in listed], (await store.container_usage(container)).bytes  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", ["process", "power", "indexed"])
@pytest.mark.parametrize("home", range(3))
@pytest.mark.parametrize("before", [None, SMALL, LARGE], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("after", [None, SMALL * 2, LARGE * 2], ids=["delete", "put", "upload"])
async def test_a_write_that_reached_one_home_is_decided_before_anyone_asks(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    before: bytes | None,
    after: bytes | None,
    home: int,
    cut: str,
) -> None:
    """An upload also where its one home has it in the index already."""
    if before is None and after is None:
        return
    if cut == "indexed" and after != LARGE * 2:
        return
    machine = Machine(Random(home), 4, (Policy(0, "copies", default=True),))
    supply = Supply()

    write_next = Rows.write_next

    async def reach_one(self: Rows, row: Row, packed: bytes) -> tuple[Row, Applied]:
        if row.key.name[:1] == SYSTEM:
            return await write_next(self, row, packed)
        row = row._replace(stamp=self.stamps.next(row.stamp))
        written = Countdown()
        written.add()
        device = self.devices[self.ring.homes_all(ROWS, row.key.place)[home]]
        device.submit_row(prepare(row, self.ring.epoch, packed), lambda _, error: written.done(error))
        await written.wait()
        if cut == "indexed":
            await device.flush()
        supply.cut()
        raise PowerLoss

    async def life() -> None:
        async with open_house(machine, supply) as house:
            await house.store.put_account("a", {})
            container, _ = await house.store.put_container("a", "c", {})
            if before is not None:
                await write(house.store, container, before)
            await trio.sleep(5)  # all homes have everything
            monkeypatch.setattr(Rows, "write_next", reach_one)
            if after is None:
                await house.store.delete(container, "o")
            else:
                await write(house.store, container, after)

    with small_limits():
        with pytest.raises(BaseExceptionGroup):
            await life()
        monkeypatch.undo()
        if cut != "process":
            machine.lose_power()
        async with open_house(machine, Supply()) as house:
            container = await house.store.container("a", "c")
            first = await shown(house.store, container)
            assert first[0] == after
            assert first[1:] == (([], 0) if after is None else ([len(after)], len(after)))
            await house.settle()
            assert await shown(house.store, container) == first


@pytest.mark.parametrize("policy", [0, 1], ids=["copies", "code"])
async def test_what_the_slowest_device_lost_is_written_anew(autojump_clock: MockClock, policy: int) -> None:
    """An upload was acknowledged by the others. No scrub is needed."""
    machine = Machine(Random(policy), 4, (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=2, codec="zfec")))
    supply = Supply()
    with small_limits():
        async with open_house(machine, supply) as house:
            await house.store.put_account("a", {})
            container, _ = await house.store.put_container("a", "c", {}, policy)
            await trio.sleep(5)
            for device in house.devices.values():
                device._options.flush_seconds = 1000.0
            async with house.store.upload(container, "o") as upload:
                await upload.write(LARGE)
                placement = upload._data.placement
                assert placement is not None
                slow = house.devices[placement.placed.devices[-1]]
                slow._bulk._sync_worker = Never()
                await upload.commit(HEAD)
            supply.cut()
            machine.lose_power()
        async with open_house(machine, Supply()) as house:
            await trio.sleep(10)
            data_id = upload._data.data_id
            held = {number for number, device in house.devices.items() if await device.has_blocks(data_id)}
            assert held == set(placement.placed.devices)
            for number in held:
                assert len(await house.devices[number].has_blocks(data_id)) == 3


class Never:
    """A worker that does nothing."""

    def submit(self, job: Callable[[], object], done: Done) -> None:
        """It stands still."""

    def close(self) -> None:
        """As before."""


OLD, NEWER = b"old", b"newer"


async def in_doubt() -> tuple[Machine, tuple[int, ...]]:
    """A machine that stopped when NEWER had reached the last of three homes, where all have OLD; and these homes."""
    machine = Machine(Random(1), 3, (Policy(0, "copies", default=True),))
    async with open_house(machine, Supply()) as house:
        store = house.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        await write(store, container, OLD)
        await trio.sleep(5)
        key = store.rows.key(container.id, container.shards, b"o")
        packed = index_key(key)
        found = await store.rows.read(key, packed)
        assert found is not None
        row = await store.rows.load(key, packed, found)
        homes = store.rows.ring.homes_all(ROWS, key.place)
        newer = row._replace(stamp=store.rows.stamps.next(row.stamp), payload=NEWER, size=len(NEWER))
        written = Countdown()
        written.add()
        house.devices[homes[-1]].submit_row(prepare(newer, 1, packed), lambda _, error: written.done(error))
        await written.wait()
    return machine, tuple(homes)


def fill(device: Device) -> None:
    device._options.reserve_bytes = 1 << 50
    device.look_for_room()


def fill_all(devices: list[Device]) -> None:
    for device in devices:
        fill(device)


def take_out(device: Device) -> None:
    device._fail(DeviceError("no sync"))


def break_index(device: Device) -> None:
    def broken(_key: bytes) -> bytes:
        raise DamageError("the index is corrupt")

    device.entries.find = broken  # type: ignore[assignment,method-assign]


TROUBLES: dict[str, Callable[[list[Device]], None]] = {
    "none": lambda _homes: None,
    "one is full": lambda homes: fill(homes[0]),
    "all are full": fill_all,
    "one is out": lambda homes: take_out(homes[0]),
    "one's index is broken": lambda homes: break_index(homes[0]),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_devices_in_trouble_do_not_keep_others_in_doubt(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    machine, homes = await in_doubt()

    async def decide_in_trouble(store: DeviceStore, settler: Settler, repairer: Repairer) -> None:
        TROUBLES[trouble]([store.devices[home] for home in homes])
        await decide(store, settler, repairer)

    monkeypatch.setattr("store.replicator.replicator.decide", decide_in_trouble)
    async with open_house(machine, Supply()) as house:
        container = await house.store.container("a", "c")
        assert (await shown(house.store, container))[0] == NEWER
        key = house.store.rows.key(container.id, container.shards, b"o")
        stamps = {await house.devices[home].find_stamp(index_key(key)) for home in homes[1:]}
        assert len(stamps) == 1


async def test_a_start_that_dies_before_it_has_decided_leaves_that_to_the_next(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has brought the indexes up to the logs, so the next one reads nothing again."""
    machine, _ = await in_doubt()

    async def die(_store: DeviceStore, _settler: Settler, _repairer: Repairer) -> None:
        raise PowerLoss

    monkeypatch.setattr("store.replicator.replicator.decide", die)
    with pytest.raises(BaseExceptionGroup):
        await open_and_close(machine)
    monkeypatch.undo()
    async with open_house(machine, Supply()) as house:
        container = await house.store.container("a", "c")
        assert (await shown(house.store, container))[0] == NEWER
        await trio.sleep(3)
        assert [await device.doubts(b"", 10) for device in house.devices.values()] == [[], [], []]


async def open_and_close(machine: Machine) -> None:
    async with open_house(machine, Supply()):
        pass


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_what_was_deleted_for_good_does_not_come_back_from_a_device_that_forgot_so(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """Its index is lost, and its log is read from the beginning: the object is still in there, its tombstone is not."""
    machine = Machine(Random(1), 3, (Policy(0, "copies", default=True),))

    async def decide_and_repair(store: DeviceStore, settler: Settler, repairer: Repairer) -> None:
        """Before the device is reconciled."""
        first = store.devices[0]
        assert not first.trusted
        assert await first.find_row(index_key(key)) is not None
        await decide(store, settler, repairer)
        await repairer._restorer.whole(key)

    with small_limits():
        async with open_house(machine, Supply()) as house:
            store = house.store
            await store.put_account("a", {})
            container, _ = await store.put_container("a", "c", {})
            await write(store, container, data)
            for number in range(80):
                await store.put(container, f"stays {number}", b"s" * 1900, HEAD)
            await trio.sleep(3)
            next_segment(house)
            await store.delete(container, "o")
            await trio.sleep(3)
            next_segment(house)
            await store.put(container, "stays", b"", HEAD)
            await house.replicator.collector.collect_data()
            await house.replicator.tombstones.collect_tombstones()
            await trio.sleep(10)
            key = store.rows.key(container.id, container.shards, b"o")
        machine.indexes[0].wipe()
        monkeypatch.setattr("store.replicator.replicator.decide", decide_and_repair)
        async with open_house(machine, Supply()) as house:
            first = house.devices[0]
            container = await house.store.container("a", "c")
            for look in (house.store.head, house.store.delete):
                with pytest.raises(NotFoundError):
                    await look(container, "o")
            await house.settle()
            assert first.trusted
            assert await first.find_row(index_key(key)) is None


def next_segment(house: House) -> None:
    """The next record of each log begins a new one."""
    for device in house.devices.values():
        device._committer._file = None


async def test_a_device_that_is_out_keeps_its_doubts(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another home has one of the same row, and is asked."""
    machine, homes = await in_doubt()

    async def decide_without_one(store: DeviceStore, settler: Settler, repairer: Repairer) -> None:
        doubts = store.devices[homes[-1]].view.doubts(b"", 10)
        for packed in doubts:
            store.devices[homes[0]].view.doubt(packed)
        store.devices[homes[-1]]._fail(DeviceError("no sync"))
        await decide(store, settler, repairer)

    monkeypatch.setattr("store.replicator.replicator.decide", decide_without_one)
    async with open_house(machine, Supply()) as house:
        container = await house.store.container("a", "c")
        assert (await shown(house.store, container))[0] == OLD
        await trio.sleep(5)
    monkeypatch.undo()
    async with open_house(machine, Supply()) as house:
        assert (await shown(house.store, container))[0] == NEWER
