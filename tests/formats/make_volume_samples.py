"""Writes the samples of what volumes store: their rows, a frame with its data, a checkpoint. Run by hand when one of
these forms gets a new version, which gets a new file: old ones are never changed.

python -m tests.formats.make_volume_samples
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgpack

from store.blocks.block_map import BlockMap
from store.blocks.checkpoint import encode as encode_checkpoint
from store.blocks.contents import Contents
from store.blocks.frame import Entry, Frame, Kind, encode_header
from store.blocks.head import ROW_NAME, Head, Past, Root
from store.blocks.log_object import open_row, row_name, sealed_row
from store.blocks.place import BLOCK_BYTES, ZERO, pack
from store.blocks.snapshots import PREFIX, Snapshot
from store.blocks.table import Table
from store.core.stamp import ZERO as NO_STAMP
from store.device.record import Kind as RecordKind
from store.device.record import seal
from store.device.row import Row, RowKey, encode_meta
from store.engine.committer import PreviousSegment, encode_previous
from store.engine.segment import SegmentKind
from store.objects.model import Container
from store.objects.store import DeviceStore
from tests.formats.make_samples import DATA_ID, LATER, SAMPLES, STAMP, TABLE, segment

PARENT = bytes(range(160, 176))
CLONE = bytes(range(176, 192))
HOMES = (3, 1, 4)
NOON = 1_700_000_000_000_000


def frame() -> Frame:
    """One with an entry of each kind, and with more than one block of data."""
    entries = [
        Entry(Kind.DATA, 7, 2),
        Entry(Kind.ZERO, 512, 512),
        Entry(Kind.DISCARD, 5000, 262_144),
        Entry(Kind.MOVE, 40, 1, pack(1, 2, 3)),
    ]
    return Frame(9, 1001, NOON + 1, entries)


def frame_data() -> bytes:
    """Of the three blocks that `frame` has."""
    return b"".join(bytes([each]) * BLOCK_BYTES for each in b"abm")


def contents() -> Contents:
    """`frame`, behind one that has a block and a header of two pages."""
    made = Contents()
    made.append(Frame(9, 1000, NOON, [Entry(Kind.DATA, 0, 1)]), 2)
    made.append(frame(), 1)
    return made


def head() -> Head:
    """Of the clone of a clone, which remembers its past and is open."""
    past = (Past(NOON - 9, Root(1, 6, 1, 0)), Past(NOON, Root(2, 1, 3, 900)))
    return Head(
        10 << 30, 9, Root(2, 2, 4, 1001), 3, (PARENT, CLONE), "monday", False, 900_000_000, past, "n1", NOON - 77
    )


def clone_head() -> Head:
    """Of a volume that was deleted while it has clones, with nothing of its own; a closed one is like it."""
    return Head(4096, 1, Root(0, 0, 1, 0), 1, deleted=True)


def snapshots() -> dict[str, Snapshot]:
    """One that is being made, one with clones, one that is kept for its clone alone."""
    return {
        "begun": Snapshot(9, 10 << 30, None, NOON),
        "größer": Snapshot(9, 10 << 30, Root(2, 2, 4, 1001), NOON, (PARENT, CLONE)),
        "unseen": Snapshot(8, 4096, Root(0, 0, 1, 0), NOON, (CLONE,), True),
    }


def table() -> Table:
    """The rows of a volume, of no store: their names lie where they lie in other samples."""
    container = Container(".volumes", PARENT.hex(), TABLE, 1, 4, STAMP, STAMP, {})
    rows = SimpleNamespace(key=lambda table, _, name: RowKey(7, table, 2, name))
    return Table(cast(DeviceStore, SimpleNamespace(rows=rows)), container)


def rows() -> list[Row]:
    """A name, two heads, a log object that is open, sealed and void, three snapshots."""
    of = table()
    found = [
        of.row("web", msgpack.packb((1, PARENT))),
        of.row(ROW_NAME, head().encode()),
        of.row(ROW_NAME, clone_head().encode()),
        open_row(of, 255, DATA_ID, HOMES, 9),
        sealed_row(of, 255, DATA_ID, HOMES, contents()),
        sealed_row(of, 256, b"", HOMES, Contents()),
        *(of.row(PREFIX + name, each.encode()) for name, each in snapshots().items()),
    ]
    assert found[3].key.name == row_name(255).encode()
    assert all(row.stamp == NO_STAMP for row in found)
    return [row._replace(stamp=LATER) for row in found]


def rows_segment() -> bytes:
    sealed = [encode_previous(PreviousSegment(10, 8192, 5))]
    sealed += [seal(RecordKind.ROW, encode_meta(row), row.payload) for row in rows()]
    return segment(SegmentKind.LOG, 11, sealed)[0]


def frame_block() -> bytes:
    return encode_header(frame()) + frame_data()


def checkpoint() -> bytes:
    """The second of a volume of depth 2: of its map one leaf and the directory are new, and one leaf of another
    directory is in checkpoint 6 of its parent."""
    parent = BlockMap()
    parent.put(600_000, 2, pack(1, 5, 2047))
    inherited = parent.freeze(1, 6)
    map_ = BlockMap(inherited.top, inherited.objects, inherited.checkpoints)
    map_.put(3, 4, pack(2, 255, 1))
    map_.put(5, 1, ZERO)
    map_.put(512, 1, pack(0, 1, 9))
    return b"".join(encode_checkpoint(map_.freeze(2, 2), {254: 2050, 255: 7}, {1: 2}))


def main() -> None:
    (SAMPLES / "volume-rows-1.bin").write_bytes(rows_segment())
    (SAMPLES / "volume-frame-1.bin").write_bytes(frame_block())
    (SAMPLES / "volume-checkpoint-1.bin").write_bytes(checkpoint())


if __name__ == "__main__":
    main()
