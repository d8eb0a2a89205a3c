"""Log objects as rows: up to 8 MiB of a volume's writes each, numbered from 1 without gaps.

The row of number n is `l`, n in 8 hexadecimal digits. Its data are under a data id that is drawn when it is opened, on
its **homes**; frame n of it is block n of these data, and its location says the length of each in pages of 4 KiB
(store.objects.rowcodec: `lengths`).

    open     lengths (); size 0; payload msgpack [1, epoch, [home, ...]], homes by their device ids
    sealed   a length for each frame, header and data; payload is the table of contents (store.blocks.contents)
    void     no data, and no location; payload is an empty table of contents: nothing in it counts

An object is open until it is sealed, once. Frames that are sealed never change.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgpack

from store.blocks.contents import Contents
from store.blocks.place import BLOCK_BYTES
from store.blocks.table import Table
from store.core.codec import unknown_version
from store.core.errors import DamageError
from store.device.row import Row
from store.objects.rowcodec import DataLocation, decode_object

VERSION: Final = 1
OBJECT_PAGES: Final = 2048
"""Pages of data: an object that has so many is full."""


class LogObject(NamedTuple):
    """A log object as its row says. `contents` is None while it is open: then `epoch` is that of its writer. One that
    is void has no data id."""

    number: int
    data_id: bytes
    homes: tuple[int, ...]
    epoch: int
    contents: Contents | None


def row_name(number: int) -> str:
    return f"l{number:08x}"


def open_row(table: Table, number: int, data_id: bytes, homes: tuple[int, ...], epoch: int) -> Row:
    """The row of an object that is to be written under an epoch."""
    payload: bytes = msgpack.packb((VERSION, epoch, homes))
    location = DataLocation(BLOCK_BYTES, 0, 0, "", homes, ())
    return table.row(row_name(number), payload, data_id=data_id, location=location, size=0)


def sealed_row(table: Table, number: int, data_id: bytes, homes: tuple[int, ...], contents: Contents) -> Row:
    """The row of an object that never changes again."""
    if not contents.frames:
        return table.row(row_name(number), contents.encode(), size=0)
    lengths = tuple(frame.header_pages + frame.pages for frame in contents.frames)
    location = DataLocation(BLOCK_BYTES, 0, 0, "", homes, lengths)
    size = contents.stored_pages * BLOCK_BYTES
    return table.row(row_name(number), contents.encode(), data_id=data_id, location=location, size=size)


def parse_row(number: int, row: Row) -> LogObject:
    """Raises DamageError where that is none, NewerError where a newer program wrote it."""
    location = decode_object(row.summary, row.stamp).data_location
    if location is None:
        return LogObject(number, b"", (), 0, Contents.decode(row.payload))
    if location.lengths:
        return LogObject(number, row.data_id, location.devices, 0, Contents.decode(row.payload))
    try:
        fields = msgpack.unpackb(row.payload)
        if fields[0] != VERSION:
            raise unknown_version("open log object", fields[0], (VERSION,))
        _, epoch, homes = fields
        return LogObject(number, row.data_id, tuple(homes), epoch, None)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise DamageError(f"log object {number} is not of a known form: {error}") from error
