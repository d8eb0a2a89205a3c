"""Devices that stand in for others that are out: what is written meanwhile goes to where it belongs when these are
back, what is open included."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from store.blocks.appender import HOMES_SECONDS
from store.blocks.volume import Volume
from tests.blocks.conftest import media, node_of, volume_of
from tests.blocks.model_disk import PAGE, read
from tests.blocks.test_takeover import filling
from tests.simulation.node import SimNode


async def stands_in_for(volume: Volume, out: int) -> None:
    """Have an object open that a device belongs to which is out."""
    while out not in volume._appender._objects.without(filling(volume)):
        await volume.write(0, b"." * PAGE)
        await volume._appender.roll()


async def write_while_out(node: SimNode, volume: Volume, out: int, fill: bytes) -> bytes:
    """Write while another stands in for a device, which is back then: the data id of that object."""
    node.take_away(out)
    await volume._appender.roll()
    await stands_in_for(volume, out)
    data_id = filling(volume).data_id
    await volume.write(0, fill * PAGE, durable=True)
    await node.bring_back(out)
    return data_id


@pytest.mark.parametrize("idle", [False, True])
async def test_what_is_open_is_closed_and_goes_to_where_it_belongs(autojump_clock: MockClock, idle: bool) -> None:
    async with node_of(media(5)) as node, volume_of(node) as volume:
        await volume.write(0, b"-" * PAGE)
        before = await write_while_out(node, volume, 0, b"a")
        await trio.sleep(2 * HOMES_SECONDS)
        if not idle:
            await volume.write(PAGE, b"b" * PAGE)
        assert filling(volume).data_id != before
        assert volume._appender._objects.without(filling(volume)) == ()
        for _ in range(3):
            await node.run_daemons()
        assert 0 in [number for number, device in node.devices.items() if await device.has_blocks(before)]
        assert await read(volume, 0, PAGE) == b"a" * PAGE
