"""The tables of a volume and of those that it is a clone of: the places of a map say by their depth in which of them
something lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store.blocks.table import Table
from store.core.errors import DamageError, NotFoundError
from store.objects.store import DeviceStore

ACCOUNT: Final = ".volumes"
"""Each volume is a container of this account, by its id in hexadecimal."""


class Lineage:
    """`own` is the volume's; those of ancestors are looked up when they are asked for."""

    def __init__(self, own: Table, ancestors: Sequence[bytes]) -> None:
        """`ancestors` are their ids, the first of them first."""
        self.own = own
        self.ancestors = tuple(ancestors)
        self._tables: dict[int, Table] = {self.depth: own}

    @property
    def depth(self) -> int:
        """Of the volume itself."""
        return len(self.ancestors)

    async def table(self, depth: int) -> Table:
        """Raises DamageError where there is none."""
        known = self._tables.get(depth)
        if known is None:
            if depth >= self.depth:
                raise DamageError(f"a place of depth {depth} in a volume of depth {self.depth}")
            try:
                known = self._tables[depth] = await volume_table(self.own.store, self.ancestors[depth])
            except NotFoundError as error:
                raise DamageError(f"the ancestor {self.ancestors[depth].hex()} is gone") from error
        return known


async def volume_table(store: DeviceStore, volume: bytes) -> Table:
    """The table of a volume, by its id. Raises NotFoundError."""
    return Table(store, await store.container(ACCOUNT, volume.hex()))
