"""A check finds nothing in volumes that are whole, whatever is done with them meanwhile; and names what is not."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import checkpointer, place_check
from store.blocks.block_map import Frozen
from store.blocks.check import check_volume
from store.blocks.checkpoint import checkpoint_name
from store.blocks.checkpoints import Checkpoints
from store.blocks.contents import Contents, Listed
from store.blocks.frame import Entry, Kind
from store.blocks.lineage import Lineage
from store.blocks.log_object import OBJECT_PAGES, open_row, parse_row, row_name, sealed_row
from store.blocks.owned_head import change_head, load_head
from store.blocks.place import OBJECT_SHIFT, is_stored, pack, unpack
from store.blocks.report import Note, Problem, Progress, Report, Summary
from store.blocks.snapshots import Snapshots
from store.blocks.table import Table
from store.blocks.volume import Volume
from store.core.errors import DrystoneError, NotFoundError
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, ModelDisk, request
from tests.blocks.test_checkpointing import checkpoint
from tests.blocks.test_takeover import killed
from tests.simulation.node import SimNode
from tests.simulation.volume_workload import small_volume_limits

SIZE = 4 * MIB


class Said:
    """What a check has said."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.summary: Summary | None = None

    async def tell(self, report: Report) -> None:
        await trio.lowlevel.checkpoint()
        self.reports.append(report)

    @property
    def problems(self) -> list[str]:
        return [each.text for each in self.reports if isinstance(each, Problem)]

    @property
    def notes(self) -> list[str]:
        return [each.text for each in self.reports if isinstance(each, Note)]


async def check(node: SimNode, name: str = "v", *, snapshot: str | None = None, data: bool = False) -> Said:
    said = Said()
    container = await catalogue_of(node).find(name)
    said.summary = await check_volume(node.store, container, said.tell, snapshot=snapshot, data=data)
    assert said.summary.problems == len(said.problems)
    return said


@asynccontextmanager
async def written() -> AsyncIterator[tuple[SimNode, Table]]:
    """A volume with two snapshots, a past, a map of more than one checkpoint, and a log behind that; nobody has it
    open."""
    random = Random(3)
    with small_volume_limits():
        async with node_of(media(3)) as node:
            container = await catalogue_of(node).create("v", SIZE, window_us=3_600_000_000)
            model = ModelDisk(SIZE)
            async with volume_of(node) as volume:
                for name in ("monday", "tuesday"):
                    for _ in range(20):
                        await request(volume, model, random, whole=True)
                    await volume.write(0, name.encode() * PAGE)  # of both something is left
                    await volume.snapshot(name)
                await volume.discard(0, SIZE // 2)
                await volume.write(0, b"now" * PAGE)
                await checkpoint(volume)
                with mock.patch.object(checkpointer, "LOG_BYTES_MIN", 1 << 30):
                    for block in range(10):
                        await volume.write(block * 3 * PAGE, b"b" * PAGE)
            yield node, Table(node.store, container)


async def test_nothing_is_wrong_with_what_was_just_written(autojump_clock: MockClock) -> None:
    async with written() as (node, _):
        for data in (False, True):
            said = await check(node, data=data)
            assert said.problems == []
            assert said.summary is not None
            assert said.summary.maps >= 3
            assert said.summary.blocks > 100
            assert (said.summary.read_bytes >= said.summary.blocks * PAGE) is data
        last = [each for each in said.reports if isinstance(each, Progress)][-1]
        kept = await check(node, snapshot="monday", data=True)
        assert kept.problems == []
        assert kept.summary is not None
        assert kept.summary.maps == 1
        assert last.done == last.of
        with pytest.raises(NotFoundError):
            await check(node, snapshot="sunday")


async def checked_while_used(node: SimNode, volume: Volume, model: ModelDisk, random: Random) -> Said:
    """What a check says while random requests are made."""
    said: list[Said] = []

    async def one() -> None:
        said.append(await check(node, data=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        while not said:
            await request(volume, model, random, whole=True)
    return said[0]


async def test_nothing_is_wrong_with_one_that_is_used_killed_and_cleaned(autojump_clock: MockClock) -> None:
    """The sweep drops what the check is about to look at."""
    random = Random(5)
    dropped = 0
    with small_volume_limits():
        async with node_of(media(3)) as node:
            catalogue = catalogue_of(node)
            model = ModelDisk(2 * MIB)
            await catalogue.create("v", 2 * MIB)
            for life in range(4):
                async with volume_of(node) if life % 2 else killed(node) as volume:
                    for _ in range(4):
                        said = await checked_while_used(node, volume, model, random)
                        assert said.problems == []
                        dropped += sum("dropped meanwhile" in note for note in said.notes)
                    if life == 1:
                        await volume.snapshot("s")
                        await catalogue.clone("v", "s", "c")
                for name in await catalogue.names():
                    assert (await check(node, name)).problems == []
    assert dropped


async def test_of_a_clone_what_it_shares_is_checked_too(autojump_clock: MockClock) -> None:
    async with written() as (node, table):
        catalogue = catalogue_of(node)
        await catalogue.clone("v", "monday", "c")
        said = await check(node, "c", data=True)
        assert said.problems == []
        assert said.summary is not None
        assert said.summary.read_bytes > 0
        await catalogue.delete("v")  # kept for c
        assert (await check(node, "c", data=True)).problems == []
        snapshot = await Snapshots(table).all()
        key = next(iter(await used(table, "c", node)))
        await table.delete(row_name(key & 0xFFFFFFFF))
        assert any(f"log object {key & 0xFFFFFFFF} of volume" in each for each in (await check(node, "c")).problems)
        clone = (await catalogue.find("c")).name
        await Snapshots(table).remove_clone("monday", bytes.fromhex(clone))
        assert any("does not name it" in each for each in (await check(node, "c")).problems)
        assert "monday" in snapshot
        await table.delete("h")
        assert any("which this is a clone of" in each for each in (await check(node, "c")).problems)


async def used(table: Table, name: str, node: SimNode) -> Counter[int]:
    """What the head's map needs of log objects."""
    own = Table(node.store, await catalogue_of(node).find(name))
    head = await load_head(own)
    checkpoints = Checkpoints(Lineage(own, head.lineage))
    found = await checkpoints.table(head.root.depth, head.root.checkpoint)
    await checkpoints.close()
    return found.objects


# -- what is wrong ---------------------------------------------------------------------------------------------------

Edit = Callable[..., None]
Damage = Callable[[SimNode, Table], Awaitable[None]]


async def rewrite(table: Table, edit: Edit, padding: int = 0) -> None:
    """Store the checkpoint of the head with other things in it, and so many more entries in its table."""
    head = await load_head(table)
    number = head.root.checkpoint
    checkpoints = Checkpoints(Lineage(table, head.lineage))
    was = await checkpoints.table(0, number)
    together = await checkpoints.pages(pack(0, number, 1), was.pages)
    pages = [together[at * 512 : (at + 1) * 512] for at in range(was.pages)]
    edit(pages, was.top, was.objects, was.checkpoints)
    sizes = was.sizes | {1_000_000 + number: 0 for number in range(padding)}
    await checkpoints.write(number, Frozen(pages, was.top, was.objects, was.checkpoints), sizes, was.stored)
    await checkpoints.close()


def leaf(pages: list[array[int]]) -> array[int]:
    """One with a place that is none of an object that is not sealed."""
    return pages[0]


def stored_at(page: array[int]) -> int:
    return next(at for at, place in enumerate(page) if is_stored(place))


async def no_checkpoint(_: SimNode, table: Table) -> None:
    await table.delete(checkpoint_name((await load_head(table)).root.checkpoint))


async def no_old_checkpoint(node: SimNode, table: Table) -> None:
    root = (await Snapshots(table).find("monday")).root
    assert root is not None
    await table.delete(checkpoint_name(root.checkpoint))


async def too_few_pages(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], *_: Counter[int]) -> None:
        pages.pop()  # a directory

    await rewrite(table, edit, padding=3000)  # what lies behind the pages is as long as one


async def an_object_that_never_was(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], _: Counter[int]) -> None:
        at = stored_at(leaf(pages))
        objects[leaf(pages)[at] >> OBJECT_SHIFT] -= 1
        leaf(pages)[at] = pack(0, 9999, 1)
        objects[9999] += 1

    await rewrite(table, edit)


async def a_page_that_never_was(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], *_: object) -> None:
        at = stored_at(leaf(pages))
        leaf(pages)[at] = pack(0, unpack(leaf(pages)[at]).object, OBJECT_PAGES)

    await rewrite(table, edit)


async def a_page_of_another_block(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], _: Counter[int]) -> None:
        page = leaf(pages)
        at = stored_at(page)
        other = next(other for other in range(at + 1, 512) if is_stored(page[other]))
        page[at], page[other] = page[other], page[at]

    await rewrite(table, edit)


async def too_much_usage(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], _: Counter[int]) -> None:
        objects[next(iter(objects))] += 1

    await rewrite(table, edit)


async def no_usage(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], checkpoints: Counter[int]) -> None:
        del objects[next(iter(objects))]

    await rewrite(table, edit)


async def usage_of_checkpoints(_: SimNode, table: Table) -> None:
    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], checkpoints: Counter[int]) -> None:
        checkpoints[next(iter(checkpoints))] += 1

    await rewrite(table, edit)


async def no_log_object(node: SimNode, table: Table) -> None:
    root = (await load_head(table)).root
    key = min(key for key in await used(table, "v", node) if key < root.object)
    await table.delete(row_name(key))


async def dropped_by_a_wrong_usage(node: SimNode, table: Table) -> None:
    """The head's map alone needs it, and the usage does not say so; nor is it behind the map."""
    key = max(await used(table, "v", node))
    await change_head(table, lambda head: head._replace(history=(), root=head.root._replace(object=key + 1)))

    def edit(pages: list[array[int]], top: array[int], objects: Counter[int], _: Counter[int]) -> None:
        del objects[key]

    await rewrite(table, edit)
    await table.delete(row_name(key))


async def not_sealed(_: SimNode, table: Table) -> None:
    snapshot = await Snapshots(table).find("monday")
    assert snapshot.root is not None
    checkpoints = Checkpoints(Lineage(table, ()))
    key = next(iter((await checkpoints.table(0, snapshot.root.checkpoint)).objects))
    await checkpoints.close()
    await table.change(row_name(key), lambda row: row and open_row(table, key, row.data_id, (0, 1, 2), 1))


async def a_gap(_: SimNode, table: Table) -> None:
    """Of what only the past needs."""
    names = await table.names("l")
    await table.delete(names[len(names) // 2])


async def frames_missing(_: SimNode, table: Table) -> None:
    """In the last object that has any; behind it comes another."""
    number = max([int(name[1:], 16) for name in await table.names("l")]) - 1
    row = await table.load(row_name(number))
    assert row is not None
    found = parse_row(number, row)
    assert found.contents is not None
    assert len(found.contents.frames) > 1
    cut = Contents(found.contents.frames[:1] + found.contents.frames[2:])
    await table.change(row_name(number), lambda _: sealed_row(table, number, found.data_id, found.homes, cut))


async def log_cut_off(_: SimNode, table: Table) -> None:
    head = await load_head(table)
    for name in await table.names("l", row_name(head.root.object - 2)):
        await table.delete(name)


async def no_object_row(_: SimNode, table: Table) -> None:
    number = max(int(name[1:], 16) for name in await table.names("l"))
    await table.change(row_name(number), lambda row: row and row._replace(payload=b"\xc1"))


DAMAGES: dict[Damage, str] = {
    no_checkpoint: "the map of the head cannot be read",
    no_old_checkpoint: "the map of snapshot monday cannot be read",
    too_few_pages: "cannot be read: checkpoint",
    an_object_that_never_was: "log object 9999 is gone, and 1 blocks are in it",
    a_page_that_never_was: f"is at page {OBJECT_PAGES} of it, and it has",
    a_page_of_another_block: ", where block",
    too_much_usage: "blocks of log object",
    no_usage: "says that 0 blocks of log object",
    usage_of_checkpoints: "pages of checkpoint",
    no_log_object: "is gone, and",
    dropped_by_a_wrong_usage: " blocks are in it",
    not_sealed: "is not sealed, and a snapshot needs it",
    a_gap: "is there behind it",
    frames_missing: "goes on with frame",
    log_cut_off: "the log ends with frame",
    no_object_row: "cannot be read: ",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
async def test_what_is_wrong_is_named(autojump_clock: MockClock, damage: Damage) -> None:
    async with written() as (node, table):
        await damage(node, table)
        said = await check(node)
        assert any(DAMAGES[damage] in each for each in said.problems), said.problems
        assert len(said.problems) < 20


def _set(event: trio.Event, _: DrystoneError | None) -> None:
    event.set()


@pytest.mark.parametrize("behind", [False, True], ids=["in the map", "behind it"])
async def test_data_that_cannot_be_read_are_found_where_they_are_read(autojump_clock: MockClock, behind: bool) -> None:
    async with written() as (node, table):
        root = (await load_head(table)).root
        if behind:
            number = root.object
        else:
            # of the snapshot alone: nothing of the past needs it
            await change_head(table, lambda head: head._replace(history=()))
            number = min(key for key in await used(table, "v", node))
        row = await table.load(row_name(number))
        assert row is not None
        for device in node.devices.values():
            gone = trio.Event()
            device.submit_drop(row.data_id, partial(_set, gone))
            await gone.wait()
        assert (await check(node)).problems == []
        said = await check(node, data=True)
        assert said.problems
        assert all(each.startswith(f"log object {number}: blocks ") for each in said.problems)


def walked(said: Said) -> int:
    return sum(isinstance(each, Progress) and each.doing == "pages of maps" for each in said.reports)


def test_of_places_there_are_never_more_in_memory_than_that() -> None:
    with mock.patch.object(place_check, "RUNS_MAX", 10):
        low: int | None = 0
        seen: list[int] = []
        while low is not None:
            batch = place_check.Batch(low)
            for number in Random(1).sample(range(1, 41), 40):
                batch.add([(pack(0, number, 7), 1, number)])
                assert sum(len(batch.placed(key)) for key in batch.keys) <= 10
            seen += batch.keys
            low = batch.high
        assert seen == list(range(1, 41))


async def test_a_large_map_is_gone_through_in_parts(autojump_clock: MockClock) -> None:
    async with written() as (node, table):
        whole = await check(node, data=True)
        with mock.patch.object(place_check, "RUNS_MAX", 10):
            parts = await check(node, data=True)
        assert (parts.summary, parts.problems) == (whole.summary, [])
        await no_log_object(node, table)
        damaged = await check(node)
        assert damaged.problems
        with mock.patch.object(place_check, "RUNS_MAX", 10):
            parts = await check(node)
            assert parts.problems == damaged.problems
            assert walked(parts) > walked(damaged)


async def test_what_nobody_needs_is_counted_and_no_fault(autojump_clock: MockClock) -> None:
    async with written() as (node, table):
        assert not any("nobody" in each for each in (await check(node)).notes)
        await change_head(table, lambda head: head._replace(history=()))
        for name in ("monday", "tuesday"):
            await Snapshots(table).delete(name)
        said = await check(node)
        assert said.problems == []
        assert any("needed by nobody" in each and not each.startswith("0 log") for each in said.notes)


async def test_one_that_was_not_closed_and_one_that_is_empty(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            await catalogue_of(node).create("v", SIZE)
            said = await check(node, data=True)
            assert (said.problems, said.notes) == ([], [])
            async with killed(node) as volume:
                await volume.write(0, b"a" * PAGE, durable=True)
            said = await check(node, data=True)
            assert said.problems == []
            assert any("is open" in each for each in said.notes)


def test_places_come_back_as_they_were_up_to_the_largest() -> None:
    batch = place_check.Batch()
    batch.add([(pack(65535, 2**32 - 1, 65535 - 511), 512, 2**34 - 512), (pack(65535, 2**32 - 1, 1), 1, 0)])
    [key] = batch.keys
    assert batch.placed(key) == [(1, 1, 0), (65535 - 511, 512, 2**34 - 512)]


def test_where_a_block_is_said_to_be() -> None:
    """Over the edges of entries; zeros between them take no page."""
    contents = Contents(
        [
            Listed(1, 0, 1, [Entry(Kind.DATA, 10, 2), Entry(Kind.ZERO, 500, 100), Entry(Kind.MOVE, 12, 1, 77)]),
            Listed(2, 0, 1, [Entry(Kind.DATA, 13, 3)]),
        ]
    )
    placed = place_check.OnPage
    assert not list(place_check.wrong(contents, [placed(1, 6, 10), placed(4, 2, 13)]))
    assert list(place_check.wrong(contents, [placed(1, 7, 10)])) == ["block 16 is at page 7 of it, and it has 6"]
    assert list(place_check.wrong(contents, [placed(3, 2, 13)])) == ["block 13 is at page 3 of it, where block 12 is"]
    assert list(place_check.wrong(contents, [placed(0, 1, 9)])) == ["block 9 is at page 0 of it, and it has 6"]
    runs = [placed(1, 2, 0), placed(2, 3, 0), placed(5, 1, 0), placed(9, 1, 0)]
    assert list(place_check.page_ranges(runs)) == [(1, 5), (9, 1)]


async def test_what_a_snapshot_counts_in_of_the_log_is_checked(autojump_clock: MockClock) -> None:
    with mock.patch.object(checkpointer, "SNAPSHOT_LEAVES", -1):
        async with node_of(media(3)) as node:
            async with volume_of(node) as volume:
                await volume.write(0, b"a" * PAGE)
                made = await volume.snapshot("s")
                assert made.root is not None
                assert made.root.behind is not None
                await volume.write(0, b"b" * PAGE)
                await checkpoint(volume)
            for snapshot in (None, "s"):
                said = await check(node, snapshot=snapshot, data=True)
                assert (said.problems, said.notes) == ([], [])
                assert said.summary is not None
                assert said.summary.read_bytes >= PAGE
            table = Table(node.store, await catalogue_of(node).find("v"))
            await table.delete(row_name(made.root.behind.first))
            for snapshot in (None, "s"):
                said = await check(node, snapshot=snapshot)
                assert said.problems == [f"log object {made.root.behind.first} is gone, which snapshot s needs"]
