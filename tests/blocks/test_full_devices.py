"""Volumes where devices are full to their reserve: they are opened to be read, and written when there is room; and
what needs to write nothing goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from store.blocks.catalogue import Catalogue
from store.blocks.opening import open_snapshot, open_volume
from store.blocks.owned_head import load_head
from store.blocks.table import Table
from store.core.errors import FullError
from tests.blocks.conftest import catalogue_of, media, node_of, volume_of
from tests.replicator.clusters import another
from tests.simulation.node import SimNode
from tests.simulation.world import SeededRandom, SimClock

PAGE = 4096


async def fill(node: SimNode, *, full: bool) -> None:
    """Have all devices full to their reserve, or none, and everybody know."""
    for device in node.devices.values():
        device._options.reserve_bytes = 1 << 50 if full else 0
        device.room.look()
    await trio.sleep(1.0)


@pytest.mark.parametrize("how", ["closed", "killed"])
async def test_a_volume_is_opened_to_be_read_and_written_when_there_is_room(
    autojump_clock: MockClock, how: str
) -> None:
    async with node_of(media(3)) as node:
        with trio.CancelScope() as killed:
            async with volume_of(node, holder="n1") as opened:
                await opened.write(0, b"a" * PAGE)
                if how == "killed":
                    killed.cancel()
                    await trio.sleep(0)
        await fill(node, full=True)
        for _ in range(3):
            async with volume_of(node, holder="n2") as opened:
                assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"a" * PAGE
                with pytest.raises(FullError, match="is full"):
                    await opened.write(0, b"b" * PAGE)
                await opened.flush()
            table = Table(node.store, await catalogue_of(node).find("v"))
            assert (await load_head(table)).holder == ""
        async with volume_of(node, holder="n2") as opened:
            await fill(node, full=False)
            await trio.sleep(10.0)
            await opened.write(0, b"c" * PAGE, durable=True)
        async with volume_of(node, holder="n2") as opened:
            assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"c" * PAGE


async def test_it_is_opened_by_a_process_that_is_not_alone(autojump_clock: MockClock) -> None:
    """Which asks for promises first: these have room where the row has."""
    async with node_of(media(3)) as node:
        with trio.CancelScope() as killed:
            async with volume_of(node) as opened:
                await opened.write(0, b"a" * PAGE)
                killed.cancel()
                await trio.sleep(0)
        await fill(node, full=True)
        store = another(node, 2)
        container = await Catalogue(store, SeededRandom(node.media.random)).find("v")
        async with open_volume(store, container, SimClock(), SeededRandom(node.media.random)) as opened:
            assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"a" * PAGE
            with pytest.raises(FullError, match="is full"):
                await opened.write(0, b"b" * PAGE)
            await fill(node, full=False)
            await trio.sleep(10.0)
            await opened.write(0, b"c" * PAGE, durable=True)
            assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"c" * PAGE


async def test_what_is_open_and_what_is_kept_can_be_read(autojump_clock: MockClock) -> None:
    """A snapshot is opened without writing anything: also where the volume itself cannot be."""
    async with node_of(media(3)) as node, volume_of(node) as opened:
        await opened.write(0, b"a" * PAGE)
        await opened.snapshot("s")
        await opened.write(0, b"b" * PAGE, durable=True)
        await fill(node, full=True)
        assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"b" * PAGE
        container = await catalogue_of(node).find("v")
        async with open_snapshot(node.store, container, "s") as kept:
            assert b"".join(map(bytes, await kept.read(0, PAGE))) == b"a" * PAGE
        await fill(node, full=False)


async def test_what_gives_space_is_done(autojump_clock: MockClock) -> None:
    """Volumes go, from the trash or at once, also those that are kept for clones. What moves them to the trash, or
    back, is refused before anything is changed."""
    async with node_of(media(3)) as node:
        catalogue = catalogue_of(node)
        for name in ("v", "w", "x", "y"):
            async with volume_of(node, name) as opened:
                await opened.write(0, b"a" * PAGE)
                await opened.snapshot("s")
        await catalogue.clone("v", "s", "c")
        v, x = [await catalogue.move_to_trash(name, 0, 1) for name in ("v", "x")]
        await fill(node, full=True)
        await catalogue.purge(v)
        await catalogue.delete("w")
        await catalogue.delete_snapshot("y", "s")
        with pytest.raises(FullError):
            await catalogue.restore(x)
        with pytest.raises(FullError):
            await catalogue.move_to_trash("y", 0, 1)
        assert await catalogue.names() == ["c", "y"]
        assert set(await catalogue.in_trash()) == {x}
        async with volume_of(node, "y") as opened:
            assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"a" * PAGE
