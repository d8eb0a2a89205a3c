"""Volumes where devices are full to their reserve: what is refused is refused before anything is changed, and what
needs to write nothing goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from store.blocks.opening import open_snapshot
from store.blocks.owned_head import load_head
from store.blocks.table import Table
from store.core.errors import FullError
from tests.blocks.conftest import catalogue_of, media, node_of, volume_of
from tests.simulation.node import SimNode

PAGE = 4096


async def fill(node: SimNode, *, full: bool) -> None:
    """Have all devices full to their reserve, or none, and everybody know."""
    for device in node.devices.values():
        device._options.reserve_bytes = 1 << 50 if full else 0
        device.room.look()
    await trio.sleep(1.0)


@pytest.mark.parametrize("how", ["closed", "killed"])
async def test_a_volume_that_cannot_be_opened_is_left_as_it_was(autojump_clock: MockClock, how: str) -> None:
    """Its head would be the first row to be written. Who had it has it; the next who opens it finds all."""
    async with node_of(media(3)) as node:
        with trio.CancelScope() as killed:
            async with volume_of(node, holder="n1") as opened:
                await opened.write(0, b"a" * PAGE)
                if how == "killed":
                    killed.cancel()
                    await trio.sleep(0)
        await fill(node, full=True)
        table = Table(node.store, await catalogue_of(node).find("v"))
        before, rows = await load_head(table), await table.names("")
        with pytest.raises(FullError, match="is full"):
            async with volume_of(node, holder="n2"):
                raise AssertionError("it is open")
        assert await load_head(table) == before
        assert before.holder == ("n1" if how == "killed" else "")
        assert await table.names("") == rows
        await fill(node, full=False)
        async with volume_of(node, holder="n2") as opened:
            assert b"".join(map(bytes, await opened.read(0, PAGE))) == b"a" * PAGE


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
