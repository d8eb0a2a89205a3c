"""Reading and writing the checkpoints of a volume and its ancestors. Those that were read last are held open: their
data stay while they are, whatever is deleted meanwhile."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from store.blocks.block_map import Frozen, Missing
from store.blocks.checkpoint import (
    FOOTER_BYTES,
    CheckpointTable,
    Footer,
    checkpoint_name,
    decode_footer,
    decode_table,
    encode,
    joined,
    page_range,
    unpack_places,
)
from store.blocks.lineage import Lineage
from store.blocks.place import BLOCK_BYTES, unpack
from store.core.errors import DamageError
from store.objects.model import ObjectHead
from store.objects.store import OpenRow

OPEN_MAX: Final = 16


class Checkpoints:
    """Those of a volume and of its ancestors."""

    def __init__(self, lineage: Lineage) -> None:
        self._store = lineage.own.store
        self._lineage = lineage
        self._open: OrderedDict[tuple[int, int], OpenRow] = OrderedDict()
        self.written_bytes = 0
        """Of checkpoints, in each copy, since this was made."""

    async def write(self, number: int, frozen: Frozen, sizes: Mapping[int, int], stored: Mapping[int, int]) -> None:
        """Store a checkpoint of the volume itself, durably. One of this number that was begun is replaced."""
        async with self._store.upload(self._lineage.own.container, checkpoint_name(number)) as upload:
            for piece in encode(frozen, sizes, stored):
                await upload.write(piece)
                self.written_bytes += len(piece)
            await upload.commit(ObjectHead("application/x-drystone-checkpoint"))

    async def table(self, depth: int, number: int) -> CheckpointTable:
        """What a checkpoint says beside its pages."""
        opened = await self._opened(depth, number)
        size = opened.info.size
        footer = await self.footer(depth, number)
        start = footer.pages * BLOCK_BYTES
        if size != start + footer.table_bytes + FOOTER_BYTES:
            raise DamageError(f"checkpoint {number} has another size than it says")
        return decode_table(await joined(opened.read(start, start + footer.table_bytes)), footer)

    async def footer(self, depth: int, number: int) -> Footer:
        """How much a checkpoint has."""
        opened = await self._opened(depth, number)
        size = opened.info.size
        return decode_footer(await joined(opened.read(max(0, size - FOOTER_BYTES), size)))

    async def page(self, missing: Missing) -> bytes:
        """A page of the map."""
        return (await self.pages(missing.place, 1)).tobytes()

    async def pages(self, place: int, count: int) -> array[int]:
        """Pages of a map that are stored one behind another, as one."""
        depth, number, page = unpack(place)
        opened = await self._opened(depth, number)
        packed = await joined(opened.read(page_range(page)[0], page_range(page + count - 1)[1]))
        if len(packed) != count * BLOCK_BYTES:
            raise DamageError(f"checkpoint {number} has no page {page + len(packed) // BLOCK_BYTES}")
        return unpack_places(packed)

    async def _opened(self, depth: int, number: int) -> OpenRow:
        if (opened := self._open.get((depth, number))) is not None:
            self._open.move_to_end((depth, number))
            return opened
        table = await self._lineage.table(depth)
        opened = self._store.open(table.container, checkpoint_name(number))
        await opened.__aenter__()
        if (depth, number) in self._open:  # somebody else opened it meanwhile
            await opened.__aexit__(None, None, None)
            return self._open[depth, number]
        self._open[depth, number] = opened
        return opened

    async def close_unused(self) -> None:
        """Hold no more than some of them open. Nobody reads meanwhile whoever may be closed."""
        while len(self._open) > OPEN_MAX:
            _, opened = self._open.popitem(last=False)
            await opened.__aexit__(None, None, None)

    async def close(self) -> None:
        """Hold none open."""
        while self._open:
            _, opened = self._open.popitem()
            await opened.__aexit__(None, None, None)
