"""Reads that wait while others write: what they open is still there."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.device.row import RowKey, index_key
from store.objects.model import ObjectHead, Policy
from store.objects.quorum_read import ReadRow
from store.objects.rows import Rows
from store.ring import ROWS, Ring
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.node import SimMedia, open_node

HEAD = ObjectHead("t")
DATA = Random(1).randbytes(3 * BLOCK_BYTES)


@pytest.mark.at_once("about which two replicas answer first")
async def test_what_is_overwritten_while_a_lagging_replica_is_told_is_not_opened(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three replicas, of which one has lost the row: the read brings it there, and waits for that."""
    with small_limits():
        async with open_node(SimMedia(Random(1), 3, (Policy(0, "copies", default=True),)), CrashPoint()) as node:
            store = node.store
            await store.put_account("a", {})
            container, _ = await store.put_container("a", "c", {})
            async with store.upload(container, "o") as upload:
                await upload.write(DATA)
                await upload.commit(HEAD)
            await trio.sleep(5)
            key = store.rows.key(container.id, container.shards, b"o")
            packed = index_key(key)
            first = store.devices[store.rows.ring.replicas_all(ROWS, key.ring_hash)[0]]
            row = await first.find_row(packed)
            assert row is not None
            first.forget_row(packed, row.stamp)
            write_back = Rows.write_back

            async def slow(self: Rows, key: RowKey, packed: bytes, found: ReadRow, ring: Ring) -> bool:
                brought = await write_back(self, key, packed, found, ring)
                monkeypatch.setattr(Rows, "write_back", write_back)
                await store.put(container, "o", b"new", HEAD)
                await trio.sleep(5)  # long enough for the old data to be dropped
                return brought

            monkeypatch.setattr(Rows, "write_back", slow)
            async with store.open(container, "o") as opened:
                assert b"".join([bytes(piece) async for piece in opened.read()]) == b"new"
