"""The trash: volumes that are deleted, and kept for a while."""

from __future__ import annotations

from contextlib import suppress
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import catalogue as module
from store.blocks import removal
from store.blocks.catalogue import Catalogue
from store.blocks.disk import OwnerReplacedError
from store.blocks.lineage import ACCOUNT
from store.blocks.opening import open_volume
from store.blocks.trash import Trashed
from store.core.errors import BusyError, ConflictError, DamageError, InvalidError, NotFoundError
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, read
from tests.simulation.node import SimNode
from tests.simulation.object_checks import check_nothing_left
from tests.simulation.volume_workload import small_volume_limits
from tests.simulation.world import SeededRandom, SimClock

HOUR = 3600 * 1_000_000
STOPS = BusyError("the process ends")


async def made(node: SimNode, name: str = "v", content: bytes = b"a") -> None:
    async with volume_of(node, name, MIB) as volume:
        await volume.write(0, content * PAGE)


async def first_page(node: SimNode, name: str = "v") -> bytes:
    async with volume_of(node, name) as volume:
        return await read(volume, 0, 1)


async def the_one(catalogue: Catalogue) -> bytes:
    (volume,) = await catalogue.in_trash()
    return volume


async def reaped(catalogue: Catalogue) -> int:
    """All is old enough."""
    return await catalogue.reap(SimClock().wall_us() + HOUR)


async def test_it_is_out_of_reach_and_comes_back_as_it_was(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        async with volume_of(node) as volume:
            await volume.snapshot("s")
        gone = await catalogue.find("v")
        volume_id = await catalogue.move_to_trash("v", 5, HOUR)
        assert await catalogue.in_trash() == {volume_id: Trashed("v", 5, 5 + HOUR)}
        assert await catalogue.names() == []
        for name in ("v", volume_id.hex()):
            with pytest.raises(NotFoundError):
                await catalogue.clone(name, "s", "c")
        with pytest.raises(NotFoundError, match="in the trash"):
            async with open_volume(node.store, gone, SimClock(), SeededRandom(node.media.random)):
                pass
        assert await reaped(catalogue) == 0
        assert await catalogue.restore(volume_id) == "v"
        assert await catalogue.in_trash() == {}
        assert await first_page(node) == b"a"
        await catalogue.clone("v", "s", "c")
        assert await first_page(node, "c") == b"a"
        with pytest.raises(NotFoundError):
            await catalogue.restore(volume_id)
        with pytest.raises(NotFoundError):
            await catalogue.purge(volume_id)


async def test_its_name_is_free_and_two_of_one_name_are_told_apart(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        ids = []
        for content in (b"a", b"b", b"c"):
            await made(node, content=content)
            if content != b"c":
                ids.append(await catalogue.move_to_trash("v", 0, HOUR))
        assert set(await catalogue.in_trash()) == set(ids)
        with pytest.raises(ConflictError, match="under another name"):
            await catalogue.restore(ids[0])
        with pytest.raises(InvalidError):
            await catalogue.restore(ids[0], "a/b")
        assert set(await catalogue.in_trash()) == set(ids)
        container = await node.store.container(ACCOUNT, ids[0].hex())
        with pytest.raises(NotFoundError):  # it is no nearer to being opened
            async with open_volume(node.store, container, SimClock(), SeededRandom(node.media.random)):
                pass
        assert await catalogue.restore(ids[0], "old") == "old"
        assert [await first_page(node, name) for name in ("old", "v")] == [b"a", b"c"]
        assert set(await catalogue.in_trash()) == {ids[1]}


async def test_what_is_purged_leaves_nothing(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            catalogue = catalogue_of(node)
            for name in ("v", "w"):
                async with volume_of(node, name, MIB) as volume:
                    for block in range(60):
                        await volume.write(block * PAGE, b"a" * PAGE)
            await catalogue.purge(await catalogue.move_to_trash("v", 0, HOUR))
            assert await catalogue.in_trash() == {}
            await catalogue.delete("w")
            await node.run_daemons()
            await node.run_daemons()
            check_nothing_left(node)
            assert not any(list(device.merged_index.range(b"d", b"e", 10)) for device in node.devices.values())


async def test_it_goes_when_its_time_has_come_and_not_before(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        for name, keep_us in (("a", HOUR), ("b", 3 * HOUR), ("c", 2 * HOUR)):
            await made(node, name)
            await catalogue.move_to_trash(name, 0, keep_us)
        assert await catalogue.purge_due(HOUR - 1) == 0
        assert await catalogue.purge_due(2 * HOUR) == 2
        assert [kept.name for kept in (await catalogue.in_trash()).values()] == ["b"]
        assert await catalogue.restore(await the_one(catalogue)) == "b"
        assert await first_page(node, "b") == b"a"


@pytest.mark.parametrize("behind", ["in_trash", "_load_trashed"])
async def test_what_comes_to_the_trash_anew_stays_there_for_its_time(autojump_clock: MockClock, behind: str) -> None:
    """A row of the last time was left there, and its time has come just when the volume is deleted again."""
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        volume_id = await catalogue.move_to_trash("v", 0, HOUR)
        with mock.patch.object(Catalogue, "_forget_trashed", side_effect=STOPS), pytest.raises(BusyError):
            await catalogue.restore(volume_id)
        step = getattr(Catalogue, behind)

        async def meanwhile(*arguments: object) -> object:
            found = await step(*arguments)
            with mock.patch.object(Catalogue, behind, step):
                await catalogue_of(node).move_to_trash("v", 2 * HOUR, HOUR)
            return found

        with mock.patch.object(Catalogue, behind, meanwhile):
            assert await catalogue.purge_due(2 * HOUR) == 0
        assert await catalogue.in_trash() == {volume_id: Trashed("v", 2 * HOUR, 3 * HOUR)}
        assert await catalogue.restore(volume_id) == "v"
        assert await first_page(node) == b"a"


async def test_one_that_cannot_be_removed_keeps_no_other(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        for name in ("a", "b", "c"):
            await made(node, name)
            await catalogue.move_to_trash(name, 0, HOUR)
        stays = next(iter(await catalogue.in_trash()))
        removing = removal.remove

        async def remove(store: object, volume: bytes) -> None:
            if volume == stays:
                raise STOPS
            await removing(node.store, volume)

        with mock.patch.object(module, "remove", remove), pytest.raises(BusyError):
            await catalogue.purge_due(HOUR)
        assert await the_one(catalogue) == stays
        with pytest.raises(NotFoundError, match="being removed"):
            await catalogue.restore(stays)
        assert await catalogue.purge_due(HOUR) == 1


async def test_a_writer_of_a_volume_that_goes_to_the_trash_is_told(autojump_clock: MockClock) -> None:
    """What it was answered is there when the volume is restored, and nothing behind."""
    with small_volume_limits():
        async with node_of(media()) as node:
            catalogue = catalogue_of(node)
            with suppress(OwnerReplacedError):  # when it is closed
                async with volume_of(node) as volume:
                    await volume.write(0, b"a" * PAGE, durable=True)
                    await catalogue.move_to_trash("v", 0, HOUR)
                    with trio.fail_after(60), pytest.raises(OwnerReplacedError):
                        await volume.write(PAGE, b"b" * 100 * PAGE)
            await catalogue.restore(await the_one(catalogue))
            assert await first_page(node) == b"a"


async def test_what_clones_need_of_a_volume_in_the_trash_and_it_of_them(autojump_clock: MockClock) -> None:
    """A clone that is deleted takes nothing of a parent in the trash; a parent that is purged nothing of its clones."""
    with small_volume_limits():
        async with node_of(media()) as node:
            catalogue = catalogue_of(node)
            await made(node)
            async with volume_of(node) as volume:
                await volume.snapshot("s")
                for block in range(60):  # what only the volume itself needs, behind its snapshot
                    await volume.write(block * PAGE, b"b" * PAGE)
            await catalogue.clone("v", "s", "c")
            await catalogue.clone("v", "s", "d")
            volume_id = await catalogue.move_to_trash("v", 0, HOUR)
            await catalogue.delete("c")
            await catalogue.restore(volume_id)
            async with volume_of(node) as volume:
                assert await read(volume, 0, 60 * PAGE) == b"b" * 60 * PAGE
            await catalogue.purge(await catalogue.move_to_trash("v", 0, HOUR))
            assert await first_page(node, "d") == b"a"


@pytest.mark.parametrize("at", ["change_head", "_forget"])
async def test_a_move_that_was_not_done_to_the_end(autojump_clock: MockClock, at: str) -> None:
    """The volume has its name still; it is deleted again, or restored."""
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)

        async def half() -> None:
            where = module if at == "change_head" else Catalogue
            with mock.patch.object(where, at, side_effect=STOPS), pytest.raises(BusyError):
                await catalogue.move_to_trash("v", 0, HOUR)
            assert await catalogue.names() == ["v"]
            assert [kept.name for kept in (await catalogue.in_trash()).values()] == ["v"]

        await half()
        await catalogue.restore(await the_one(catalogue))
        assert await first_page(node) == b"a"
        await half()
        if at == "_forget":
            for attempt in (catalogue.rename("v", "w"), catalogue.clone("v", "s", "w")):
                with pytest.raises(NotFoundError):
                    await attempt
        await catalogue.move_to_trash("v", 7, HOUR)
        assert await catalogue.names() == []
        assert [kept.deleted_us for kept in (await catalogue.in_trash()).values()] == [7]


async def test_a_volume_that_is_still_used_does_not_go_with_what_the_trash_has_of_it(
    autojump_clock: MockClock,
) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        with mock.patch.object(module, "change_head", side_effect=STOPS), pytest.raises(BusyError):
            await catalogue.move_to_trash("v", 0, HOUR)
        await catalogue.purge_due(HOUR)
        assert await catalogue.in_trash() == {}
        assert await first_page(node) == b"a"


async def test_the_name_goes_with_a_volume_that_has_it_still(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        with mock.patch.object(Catalogue, "_forget", side_effect=STOPS), pytest.raises(BusyError):
            await catalogue.move_to_trash("v", 0, HOUR)
        await catalogue.purge_due(HOUR)
        assert await catalogue.names() == []
        await made(node, content=b"b")
        assert await first_page(node) == b"b"


@pytest.mark.parametrize("at", ["_name", "_forget_trashed"])
async def test_a_restore_that_was_not_done_to_the_end(autojump_clock: MockClock, at: str) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        volume_id = await catalogue.move_to_trash("v", 0, HOUR)
        with mock.patch.object(Catalogue, at, side_effect=STOPS), pytest.raises(BusyError):
            await catalogue.restore(volume_id)
        assert await reaped(catalogue) == 0
        if at == "_name":
            await catalogue.restore(volume_id)
        else:
            await catalogue.purge_due(HOUR)
        assert await catalogue.in_trash() == {}
        assert await reaped(catalogue) == 0
        assert await first_page(node) == b"a"


async def test_one_whose_removal_was_not_done_to_the_end_is_gone_at_last(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        volume_id = await catalogue.move_to_trash("v", 0, HOUR)
        with mock.patch.object(Catalogue, "_forget_trashed", side_effect=STOPS), pytest.raises(BusyError):
            await catalogue.purge(volume_id)
        await catalogue.purge_due(HOUR)
        assert await catalogue.in_trash() == {}


async def test_a_volume_that_is_moved_while_names_are_read_is_not_reaped(autojump_clock: MockClock) -> None:
    """It is neither where it was looked for first, nor where it was looked for then."""
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await made(node)
        volume_id = await catalogue.move_to_trash("v", 0, HOUR)
        moves = [volume_id]
        in_trash = Catalogue.in_trash

        async def restored_before(self: Catalogue) -> dict[bytes, Trashed]:
            while moves:
                await self.restore(moves.pop())
            return await in_trash(self)

        with mock.patch.object(Catalogue, "in_trash", restored_before):
            assert await reaped(catalogue) == 0
        assert await first_page(node) == b"a"


@pytest.mark.parametrize("packed", [b"", b"\x91", b"\x01", b"\x92\x01\xa1a"])
def test_forms_that_are_none(packed: bytes) -> None:
    with pytest.raises(DamageError):
        Trashed.decode(packed)
    assert Trashed.decode(Trashed("v", 1, 2).encode()) == Trashed("v", 1, 2)
