"""Snapshots and clones: what they were, whatever becomes of the others; and deleted in any order they leave nothing."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import catalogue as catalogue_module
from store.blocks import flatten as flatten_module
from store.blocks import removal
from store.blocks.disk import OwnerReplacedError, ReadOnlyError
from store.blocks.head import Root
from store.blocks.lineage import ACCOUNT
from store.blocks.opening import open_snapshot
from store.blocks.snapshots import Snapshot, Snapshots
from store.blocks.table import Table
from store.core.errors import BusyError, ConflictError, InvalidError, NotFoundError
from store.device.row import Row
from store.objects.model import ListingQuery
from store.objects.reading import DataReader
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, read, request
from tests.blocks.test_checkpointing import checkpoint
from tests.blocks.test_takeover import KilledError, killed
from tests.simulation.node import SimNode
from tests.simulation.object_checks import check_nothing_left
from tests.simulation.volume_workload import small_volume_limits
from tests.simulation.world import SimClock


async def snapshot_bytes(node: SimNode, volume: str, name: str) -> bytes:
    container = await catalogue_of(node).find(volume)
    async with open_snapshot(node.store, container, name) as disk:
        return await read(disk)


async def test_a_snapshot_stays_what_the_volume_was(autojump_clock: MockClock) -> None:
    random = Random(1)
    with small_volume_limits():
        async with node_of(media()) as node:
            model, kept = ModelDisk(2 * MIB), {}
            for life in range(3):
                async with volume_of(node, size=2 * MIB) as volume:
                    for _ in range(40):
                        await request(volume, model, random, whole=True)
                    await volume.snapshot(f"s{life}")
                    kept[f"s{life}"] = bytes(model.data)
                    for _ in range(40):
                        await request(volume, model, random, whole=True)
                    assert await read(volume) == model.data
            for name, data in kept.items():
                assert await snapshot_bytes(node, "v", name) == data
            assert sorted(await catalogue_of(node).snapshots("v")) == sorted(kept)


async def test_it_cannot_be_written(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node) as volume:
            await volume.snapshot("s")
        async with open_snapshot(node.store, await catalogue_of(node).find("v"), "s") as disk:
            assert disk.read_only
            for call in (disk.write(0, bytes(PAGE)), disk.zero(0, PAGE), disk.discard(0, PAGE)):
                with pytest.raises(ReadOnlyError):
                    await call


async def test_names_of_snapshots(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, volume_of(node) as volume:
        await volume.snapshot("s")
        with pytest.raises(ConflictError):
            await volume.snapshot("s")
        for name in ("", "a/b", "n" * 2000):
            with pytest.raises(InvalidError):
                await volume.snapshot(name)
        with pytest.raises(NotFoundError):
            await snapshot_bytes(node, "v", "other")
        await catalogue_of(node).delete_snapshot("v", "s")
        with pytest.raises(NotFoundError):
            await snapshot_bytes(node, "v", "s")
        with pytest.raises(NotFoundError):
            await catalogue_of(node).delete_snapshot("v", "s")


@pytest.mark.parametrize("past", [False, True])
async def test_of_two_snapshots_of_one_name_one_is_made_and_the_volume_goes_on(
    autojump_clock: MockClock, past: bool
) -> None:
    async with node_of(media()) as node:
        await catalogue_of(node).create("v", MIB, window_us=3600 * 1_000_000)
        async with volume_of(node) as volume:
            await volume.write(0, b"a" * PAGE)
            made: list[str] = []

            async def make(which: str) -> None:
                with suppress(ConflictError):
                    if past:
                        await volume.snapshot_at("s", SimClock().wall_us())
                    else:
                        await volume.snapshot("s")
                    made.append(which)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(make, "one")
                await trio.sleep(0.001)
                nursery.start_soon(make, "other")
            assert len(made) == 1
            await volume.write(0, b"b" * PAGE, durable=True)
        assert (await snapshot_bytes(node, "v", "s"))[:PAGE] == b"a" * PAGE


async def test_who_was_replaced_takes_no_name_from_a_snapshot_that_is_being_made(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        snapshots = Snapshots(Table(node.store, await catalogue_of(node).create("v", MIB)))
        newer = Snapshot(2, MIB, None, 7)
        await snapshots.begin("s", Snapshot(1, MIB, None, 5))  # of who was replaced
        await snapshots.begin("s", newer)
        with pytest.raises(OwnerReplacedError):
            await snapshots.begin("s", Snapshot(1, MIB, None, 9))
        await snapshots.finish("s", newer, Root(0, 0, 1, 0))


async def test_one_that_whoever_asked_for_it_gave_up_holds_nothing_back(autojump_clock: MockClock) -> None:
    """And one that is still being made does, whatever the sweep finds of others."""
    async with node_of(media()) as node, volume_of(node, size=MIB) as volume:
        snapshots = volume.checkpointer._snapshots
        with mock.patch.object(volume.checkpointer, "_root_of_now", trio.sleep_forever):
            with trio.move_on_after(1):
                await volume.snapshot("left")
            assert set(await snapshots.all()) == {"left"}
            async with trio.open_nursery() as nursery:
                nursery.start_soon(volume.snapshot, "made")
                await trio.sleep(1)
                await checkpoint(volume)
                assert set(await snapshots.all()) == {"left", "made"}
                nursery.cancel_scope.cancel()
        await checkpoint(volume)
        assert await snapshots.all() == {}
        assert not volume.checkpointer._needs.unknown


async def test_one_that_is_made_while_the_sweep_looks_is_not_overlooked(autojump_clock: MockClock) -> None:
    """It was seen as one that is being made, and is not when the sweep would give it up."""
    async with node_of(media()) as node, volume_of(node, size=MIB) as volume:
        snapshots, needs = volume.checkpointer._snapshots, volume.checkpointer._needs
        begun = Snapshot(volume.head.epoch, MIB, None, 5)
        await snapshots.begin("s", begun)
        looking = snapshots.all

        async def look() -> dict[str, Snapshot]:
            found = await looking()
            await snapshots.finish("s", begun, volume.head.head.root)
            return found

        with mock.patch.object(snapshots, "all", look):
            await needs.refresh(volume.head.epoch, None)
        assert needs.unknown
        assert (await snapshots.find("s")).root == volume.head.head.root


async def test_a_clone_begins_as_the_snapshot_and_goes_its_own_way(autojump_clock: MockClock) -> None:
    random = Random(2)
    with small_volume_limits():
        async with node_of(media()) as node:
            parent = ModelDisk(2 * MIB)
            async with volume_of(node, size=2 * MIB) as volume:
                for _ in range(60):
                    await request(volume, parent, random, whole=True)
                await volume.snapshot("s")
            child = ModelDisk(3 * MIB)
            child.write(0, bytes(parent.data))
            await catalogue_of(node).clone("v", "s", "c", 3 * MIB)
            async with volume_of(node, "v") as volume, volume_of(node, "c") as clone:
                assert await read(clone) == child.data
                for _ in range(60):
                    await request(volume, parent, random, whole=True)
                    await request(clone, child, random, whole=True)
                assert await read(volume) == parent.data
                assert await read(clone) == child.data
            async with volume_of(node, "c") as clone:
                assert await read(clone) == child.data


async def test_pages_of_a_parent_are_not_looked_for_in_what_the_clone_writes(autojump_clock: MockClock) -> None:
    """Their log objects have the same numbers."""
    async with node_of(media()) as node:
        async with volume_of(node, size=MIB) as volume:
            await volume.write(0, b"a" * PAGE)
            await volume.snapshot("s")
        await catalogue_of(node).clone("v", "s", "c")
        async with volume_of(node, "c") as clone:
            await clone.write(PAGE, b"b" * PAGE, durable=True)
            await clone.all_applied()
            (inherited,) = clone._map.map.look(0, 1)
            (own,) = clone._map.map.look(1, 1)
            reader = clone._disk._reader
            with mock.patch.object(DataReader, "read_now", return_value=memoryview(bytes(PAGE))):
                assert reader.read_now(inherited.place, 1) is None
                assert reader.read_now(own.place, 1) is not None
            assert await read(clone, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE


async def test_an_object_of_a_parent_that_two_ask_for_at_once_counts_once(autojump_clock: MockClock) -> None:
    """Else ever fewer are remembered."""
    async with node_of(media()) as node:
        async with volume_of(node, size=MIB) as volume:
            for block in range(3):
                await volume.write(block * PAGE, b"a" * PAGE)
            await volume.snapshot("s")
        await catalogue_of(node).clone("v", "s", "c")
        async with volume_of(node, "c") as clone:
            load = Table.load

            async def slowly(table: Table, name: str) -> Row | None:
                row = await load(table, name)
                await trio.sleep(1)
                return row

            with mock.patch.object(Table, "load", slowly):
                async with trio.open_nursery() as nursery:
                    for block in range(3):
                        nursery.start_soon(clone.read, block * PAGE, PAGE)
            reader = clone._disk._reader
            assert reader._frames == sum(len(each.contents.frames) for each in reader._known.values())


async def test_a_clone_is_no_smaller_and_of_what_there_is(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node, size=2 * MIB) as volume:
            await volume.snapshot("s")
        catalogue = catalogue_of(node)
        with pytest.raises(InvalidError):
            await catalogue.clone("v", "s", "c", MIB)
        with pytest.raises(NotFoundError):
            await catalogue.clone("v", "other", "c")
        with pytest.raises(NotFoundError):
            await catalogue.clone("other", "s", "c")
        with pytest.raises(ConflictError):
            await catalogue.clone("v", "s", "v")
        assert await catalogue.names() == ["v"]
        await _leaves_nothing(node, ["v"])


async def _leaves_nothing(node: SimNode, names: list[str]) -> None:
    """Delete these, and all is gone."""
    catalogue = catalogue_of(node)
    for name in names:
        await catalogue.delete(name)
    account = await node.store.account(ACCOUNT)
    left = await node.store.list_containers(account, ListingQuery(limit=100))
    assert [entry.name for entry in left] == ["names"]
    for _ in range(3):
        await node.run_daemons()
    check_nothing_left(node)
    blocks = [device.merged_index.range(b"d", b"e", 1 << 30) for device in node.devices.values()]
    assert not any(list(each) for each in blocks)


@pytest.mark.parametrize("seed", range(4))
async def test_a_family_deleted_in_any_order(autojump_clock: MockClock, seed: int) -> None:
    random = Random(seed)
    with small_volume_limits():
        async with node_of(media(seed=seed)) as node:
            catalogue = catalogue_of(node)
            await catalogue.create("v0", MIB)
            models = {"v0": ModelDisk(MIB)}
            for number in range(1, 5):
                of = random.choice(sorted(models))
                async with volume_of(node, of) as volume:
                    for _ in range(20):
                        await request(volume, models[of], random, whole=True)
                    await volume.snapshot(f"s{number}")
                new = f"v{number}"
                await catalogue.clone(of, f"s{number}", new)
                models[new] = ModelDisk(MIB)
                models[new].write(0, bytes(models[of].data))
            names = sorted(models)
            random.shuffle(names)
            for name in names:
                for other, model in models.items():
                    async with volume_of(node, other) as volume:
                        for _ in range(10):
                            await request(volume, model, random, whole=True)
                        assert await read(volume) == model.data
                del models[name]
                await catalogue.delete(name)
                await node.run_daemons()
            await _leaves_nothing(node, [])


async def test_what_a_deleted_snapshot_alone_needed_comes_back(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with volume_of(node, size=MIB) as volume:
                await volume.write(0, Random(1).randbytes(MIB))
                await volume.snapshot("s")
                await volume.discard(0, MIB)
                await catalogue_of(node).delete_snapshot("v", "s")
                volume.checkpointer.want()
                await volume.flush()
            for _ in range(2):
                async with volume_of(node) as volume:
                    await volume.write(0, bytes(PAGE))
                    await volume.checkpointer.store()
            await node.run_daemons()
            blocks = sum(len(list(device.merged_index.range(b"d", b"e", 1 << 30))) for device in node.devices.values())
            assert blocks < 40


async def test_who_was_replaced_makes_no_snapshot(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        with suppress(OwnerReplacedError):
            async with volume_of(node) as old:
                await old.write(0, b"a" * PAGE)
                async with volume_of(node) as new:
                    with pytest.raises((OwnerReplacedError, NotFoundError)):
                        await old.snapshot("s")
                    await new.snapshot("s")
        assert sorted(await catalogue_of(node).snapshots("v")) == ["s"]


async def test_renamed_and_found_by_the_new_name_alone(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node) as volume:
            await volume.write(0, b"a" * PAGE)
            await catalogue_of(node).rename("v", "w")
            await volume.write(PAGE, b"b" * PAGE)
        catalogue = catalogue_of(node)
        assert await catalogue.names() == ["w"]
        with pytest.raises(NotFoundError):
            await catalogue.find("v")
        async with volume_of(node, "w") as volume:
            assert await read(volume, 0, 2 * PAGE) == b"a" * PAGE + b"b" * PAGE


@pytest.mark.parametrize("kept", [False, True], ids=["parent deleted before", "parent deleted after"])
async def test_a_flattened_clone_needs_nobody(autojump_clock: MockClock, kept: bool) -> None:
    random = Random(5)
    with small_volume_limits():
        async with node_of(media()) as node:
            catalogue = catalogue_of(node)
            model = ModelDisk(2 * MIB)
            async with volume_of(node, size=2 * MIB) as volume:
                for _ in range(60):
                    await request(volume, model, random, whole=True)
                await volume.snapshot("s")
            await catalogue.clone("v", "s", "c")
            if not kept:
                await catalogue.delete("v")
            async with volume_of(node, "c") as clone:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(clone.flatten)
                    for _ in range(30):
                        await request(clone, model, random, whole=True)
                assert await read(clone) == model.data
                assert all(key >> 32 == 1 for key in clone._map.map.objects)
                await clone.flatten()
            if kept:
                assert (await catalogue.snapshots("v"))["s"].clones == ()
                await catalogue.delete("v")
            account = await node.store.account(ACCOUNT)
            left = await node.store.list_containers(account, ListingQuery(limit=100))
            assert len(left) == 2
            async with volume_of(node, "c") as clone:
                assert await read(clone) == model.data
                await clone.snapshot("s")
            await catalogue.clone("c", "s", "d")
            async with volume_of(node, "d") as clone:
                assert await read(clone) == model.data
            await _leaves_nothing(node, ["c", "d"])


async def test_a_clone_that_is_killed_once_it_has_let_its_parent_go_is_opened_anew(autojump_clock: MockClock) -> None:
    """Its past began as the parent's snapshot."""
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await catalogue.create("v", MIB, window_us=3600 * 1_000_000)
        async with volume_of(node) as volume:
            await volume.write(0, b"a" * PAGE)
            await volume.snapshot("s")
        await catalogue.clone("v", "s", "c")
        await catalogue.delete("v")

        async def release(*arguments: object) -> None:
            parent = await removal.release(*arguments)  # type: ignore[arg-type]
            assert parent is not None
            await removal.remove(node.store, parent)
            raise KilledError

        with mock.patch.object(flatten_module, "release", release):
            async with killed(node, "c") as clone:
                await clone.flatten()
        async with volume_of(node, "c") as clone:
            assert await read(clone, 0, PAGE) == b"a" * PAGE
            await clone.flatten()
            assert clone.head.head.origin == ""
        await _leaves_nothing(node, ["c"])


async def test_no_clone_is_made_of_a_snapshot_that_took_the_name_of_another_meanwhile(
    autojump_clock: MockClock,
) -> None:
    """The clone begins with the map of the first, which is kept for nobody."""
    async with node_of(media()) as node, volume_of(node, size=MIB) as volume:
        catalogue = catalogue_of(node)
        await volume.write(0, b"a" * PAGE)
        await volume.snapshot("s")
        adding = Snapshots.add_clone

        async def add_clone(*arguments: object) -> None:
            await catalogue.delete_snapshot("v", "s")
            await volume.write(0, b"b" * PAGE)
            await volume.snapshot("s")
            await adding(*arguments)  # type: ignore[arg-type]

        with mock.patch.object(Snapshots, "add_clone", add_clone), pytest.raises(NotFoundError):
            await catalogue.clone("v", "s", "c")
        assert await catalogue.names() == ["v"]
        assert (await catalogue.snapshots("v"))["s"].clones == ()


async def test_a_clone_with_snapshots_is_not_flattened(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node, size=MIB) as volume:
            await volume.write(0, bytes(range(256)) * 16)
            await volume.snapshot("s")
            await volume.flatten()
        await catalogue_of(node).clone("v", "s", "c")
        async with volume_of(node, "c") as clone:
            await clone.snapshot("t")
            with pytest.raises(ConflictError):
                await clone.flatten()
            await catalogue_of(node).delete_snapshot("c", "t")
            await clone.flatten()
            assert await read(clone, 0, PAGE) == bytes(range(256)) * 16


async def test_what_was_made_in_part_is_removed_and_what_clones_need_is_not(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        async with volume_of(node, size=MIB) as volume:
            await volume.write(0, b"a" * PAGE)
            await volume.snapshot("s")
        await catalogue.clone("v", "s", "c")
        await catalogue.delete("v")  # kept for c
        with (
            mock.patch.object(catalogue_module.Catalogue, "_name", side_effect=BusyError("the process ends")),
            pytest.raises(BusyError),
        ):
            await catalogue.create("half", MIB)
        with mock.patch.object(catalogue_module, "remove", side_effect=BusyError("the process ends")):
            await catalogue.create("gone", MIB)
            with pytest.raises(BusyError):
                await catalogue.delete("gone")
        now = SimClock().wall_us()
        assert await catalogue.reap(now - 1_000_000) == 0
        await trio.sleep(10)
        assert await catalogue.reap(now + 1_000_000) == 3
        assert await catalogue.names() == ["c"]
        async with volume_of(node, "c") as clone:
            assert await read(clone, 0, PAGE) == b"a" * PAGE
        await _leaves_nothing(node, ["c"])
