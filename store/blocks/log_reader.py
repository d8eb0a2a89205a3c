"""Reading what lies in a volume's log: in objects of its own, or of those that it is a clone of."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from store.blocks.contents import Contents
from store.blocks.lineage import Lineage
from store.blocks.log_object import LogObject, parse_row, row_name
from store.blocks.open_object import OpenObject
from store.blocks.place import BLOCK_BYTES, OBJECT_SHIFT, pack, unpack
from store.blocks.table import Table
from store.core.errors import DamageError, NotFoundError
from store.device.record import Buffer
from store.objects.reading import DataReader
from store.objects.rowcodec import DataLocation

FRAMES_MAX: Final = 200_000
"""Of so many frames it is remembered where they lie."""


class _Object:
    """One object that was read from."""

    def __init__(self, data_id: bytes, contents: Contents, reader: DataReader) -> None:
        self.data_id = data_id
        self.contents = contents
        self.reader = reader


class LogReader:
    """The log objects of a volume and its ancestors."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._depth = lineage.depth
        self._store = lineage.own.store
        self._written: dict[int, _Object] = {}
        self._known: OrderedDict[tuple[int, int], _Object] = OrderedDict()
        self._frames = 0

    def read_now(self, place: int, pages: int) -> list[Buffer] | None:
        """Pages from a place on, verified, where all is at hand; else None."""
        depth, number, page = unpack(place)
        object_ = self._known.get((depth, number))
        if object_ is None:
            object_ = self._written.get(number) if depth == self._depth else None
            if object_ is None:
                return None
        pieces: list[Buffer] = []
        while pages:
            try:
                frame, start, follow = object_.contents.spot(page)
            except DamageError:
                return None
            count = min(follow, pages)
            piece = object_.reader.read_now(frame, start, start + count * BLOCK_BYTES)
            if piece is None:
                return None
            pieces.append(piece)
            page += count
            pages -= count
        return pieces

    async def read(self, place: int, pages: int) -> list[Buffer]:
        """The same, wherever it is. Raises NotFoundError where the object is gone, DamageError."""
        if (at_hand := self.read_now(place, pages)) is not None:
            return at_hand
        depth, number, page = unpack(place)
        object_ = await self._object(depth, number)
        pieces: list[Buffer] = []
        with self._store.pins.holding(object_.data_id):
            while pages:
                spot = object_.contents.spot(page)
                count = min(spot.pages, pages)
                stop = spot.start + count * BLOCK_BYTES
                pieces.append(await object_.reader.read_copy(spot.frame, spot.start, stop))
                page += count
                pages -= count
        return pieces

    async def contents(self, number: int, depth: int | None = None) -> Contents:
        """What is in an object of the volume itself, or of its ancestor of a depth."""
        return (await self._object(self._depth if depth is None else depth, number)).contents

    def opened(self, object_: OpenObject) -> None:
        """An object of the volume itself is written from now on: what it has is in memory."""
        own, homes = self._lineage.own, object_.homes
        self._written[object_.number] = self._make(own, object_.number, object_.data_id, homes, object_.contents)

    def sealed(self, object_: LogObject) -> None:
        """An object of the volume itself is written no more."""
        self._written.pop(object_.number, None)
        if object_.contents is not None and object_.contents.frames:
            self._remember(self._depth, self._lineage.own, object_)

    def forget(self, number: int) -> None:
        """An object of the volume itself is gone."""
        self._forget(self._depth, number)

    def _forget(self, depth: int, number: int) -> None:
        if (known := self._known.pop((depth, number), None)) is not None:
            self._frames -= len(known.contents.frames)

    async def _object(self, depth: int, number: int) -> _Object:
        if depth == self._depth and (written := self._written.get(number)) is not None:
            return written
        if (known := self._known.get((depth, number))) is not None:
            self._known.move_to_end((depth, number))
            return known
        table = await self._lineage.table(depth)
        row = await table.load(row_name(number))
        found = None if row is None else parse_row(number, row)
        if found is None or found.contents is None:
            raise NotFoundError(f"log object {number} is gone")
        return self._remember(depth, table, found)

    def _remember(self, depth: int, table: Table, found: LogObject) -> _Object:
        assert found.contents is not None
        self._forget(depth, found.number)  # it may have been asked for twice at the same time
        object_ = self._make(table, found.number, found.data_id, found.homes, found.contents)
        self._known[depth, found.number] = object_
        self._frames = self._frames + len(found.contents.frames)
        while self._frames > FRAMES_MAX and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            self._frames -= len(oldest.contents.frames)
        return object_

    def _make(self, table: Table, number: int, data_id: bytes, homes: tuple[int, ...], contents: Contents) -> _Object:
        location = DataLocation(BLOCK_BYTES, 0, 0, "", homes, ())
        reader = self._store.reader(table.key(row_name(number)), data_id, 0, location)
        return _Object(data_id, contents, reader)


def needed_key(depth: int, number: int) -> int:
    """The key by which it is counted what is needed of an object."""
    return pack(depth, number, 1) >> OBJECT_SHIFT
