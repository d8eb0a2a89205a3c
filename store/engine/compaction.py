"""Compaction: copy what lives out of log segments that are mostly dead, so that their space comes back.

Copies go through the same committer as every other record. The index moves to a copy only if it still points at the
record that was copied: a version that came meanwhile wins, and the copy is dead on arrival. The segment itself is
removed by the flush after, which finds nothing living in it; a record that cannot be read keeps its segment alive, so
the last trace of damage is never thrown away. Such a segment is not tried again before less of it is alive: it must not
keep the others waiting.

Bulk segments need none of this: dropped blocks are given back by punching holes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from store.core.errors import DamageError
from store.core.wait_group import WaitGroup
from store.device.record import Kind
from store.device.row import decode_meta, index_key
from store.engine.segment import HEADER_BYTES

if TYPE_CHECKING:
    from store.engine.device import Device

CHUNK_BYTES = 2 * 1024 * 1024
"""Read, copied and committed at a time: bounds memory, and how long foreground writes wait behind copies."""
TURN_RECORDS = 64
"""Looked at in one turn of the loop: a chunk may hold thousands of tombstones, and requests wait meanwhile."""


async def compact(device: Device, below: float) -> int:
    """Compact the emptiest log segment whose share of live bytes is below this. Returns the bytes copied."""
    victims = device.compactable(below)
    if not victims:
        return 0
    victim = victims[0]
    device.stuck[victim] = device.segment_usage.live[victim]
    copied = await compact_segment(device, victim)
    await device.flush()
    return copied


async def compact_segment(device: Device, segment: int) -> int:
    """Copy every living row out of a segment. Returns the bytes copied."""
    offset = HEADER_BYTES
    copied = 0
    while True:
        records, offset = await device.reads.records(segment, offset, CHUNK_BYTES)
        if not records:
            return copied
        waiting = WaitGroup()
        for number, found in enumerate(records, 1):
            if number % TURN_RECORDS == 0:
                await trio.lowlevel.checkpoint()
            if found.header.kind != Kind.ROW:
                continue
            packed = index_key(decode_meta(found.meta).key)
            row = None
            with suppress(DamageError):  # whether it lives cannot be told: then the segment stays
                row = device.row_table.row(packed)
            if row is not None and row.location == found.location:
                waiting.add()
                device.submit_move(packed, found, waiting.done)
                copied += found.location.length
        await waiting.wait()
