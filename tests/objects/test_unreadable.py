"""An object none of whose replicas can be read any more can still be deleted, or written anew."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DrystoneError
from store.device.row import DETAIL_BYTES_MAX
from store.objects.model import Condition, ObjectHead
from tests.replicator.clusters import HEAD, exists, key_of, media_of, opened, write
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode

LARGE = Random(1).randbytes(2 * BLOCK_BYTES)
MANY = ObjectHead("t", {"mark": "m" * DETAIL_BYTES_MAX})
"""Headers that the index does not hold."""


async def spoil_records(node: SimNode, packed: bytes) -> None:
    """The log's records of a row, on every device."""
    for device in node.devices.values():
        row = await device.find_row(packed)
        if row is not None:
            medium = node.media.disks[device.id]
            for at in range(row.location.offset, row.location.offset + row.location.length):
                medium.flip(device.segments.path(row.location.segment), at)


async def spoil_entries(node: SimNode, packed: bytes) -> None:
    """The index's entries of a row, on every device."""
    for device in node.devices.values():
        await device.flush()
        entries = node.media.indexes[device.id].entries
        if packed in entries:
            value = entries[packed]
            entries[packed] = bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("spoil", [spoil_records, spoil_entries], ids=["records", "index"])
async def test_it_can_be_deleted(autojump_clock: MockClock, spoil: object, data: bytes) -> None:
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", data, MANY)
        await write(node.store, container, "p", data, MANY)
        await trio.sleep(5)
        for name in ("o", "p"):
            await spoil(node, key_of(node, container, name)[1])  # type: ignore[operator]
        with pytest.raises(DrystoneError):
            async with node.store.open(container, "o"):
                pass
        with pytest.raises(DrystoneError):
            await node.store.delete(container, "o", check=lambda _info: True)
        await node.store.delete(container, "o")
        assert not await exists(node.store, container, "o")
        await node.store.put(container, "p", b"anew", HEAD)
        async with node.store.open(container, "p") as found:
            assert found.inline == b"anew"
        await node.run_daemons()
        for device in node.devices.values():
            assert await device.owners(b"", 10) == ([], b"")


async def test_what_cannot_be_read_is_there(autojump_clock: MockClock) -> None:
    """A condition that there be none does not hold, whatever else is not known."""
    async with opened(media_of(3)) as (node, container):
        await write(node.store, container, "o", b"data")
        await trio.sleep(5)
        await spoil_entries(node, key_of(node, container, "o")[1])
        with pytest.raises(DrystoneError):
            await node.store.put(container, "o", b"new", HEAD, Condition(none_match=frozenset("*")))
