"""The blocks of some data: how many there are, how long each is, and which of them has a byte.

What one upload writes is cut into blocks of one length, of which the last has what is left. Blocks that come one by one
(the frames of a volume's log, docs/volumes.md) have each its own, and the row says them.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from store.core.errors import DamageError
from store.objects.rowcodec import DataLocation


class BlockLengths:
    """Those of one object's data, from what its row says. All in bytes."""

    def __init__(self, data_location: DataLocation, size: int) -> None:
        """Raises DamageError where the row says two different things of how much there is."""
        self._block_bytes = data_location.block_bytes
        self._size = size
        self._stops: tuple[int, ...] | None = None
        """Where each block ends, if they have each its own length."""
        self.count = -(-size // data_location.block_bytes)
        """How many blocks there are; of data that are open none is known."""
        if data_location.lengths is not None:
            self._stops = tuple(accumulate(units * data_location.block_bytes for units in data_location.lengths))
            self.count = len(self._stops)
            whole = self._stops[-1] if self._stops else 0
            if whole != size:
                raise DamageError(f"the row says that there are {size} bytes, in blocks of {whole} bytes together")

    def start(self, block: int) -> int:
        """The position of a block's first byte."""
        if self._stops is None:
            return block * self._block_bytes
        return self._stops[block - 1] if block else 0

    def length(self, block: int) -> int:
        """How long a block is."""
        if self._stops is None:
            return min(self._block_bytes, self._size - block * self._block_bytes)
        return self._stops[block] - self.start(block)

    def find(self, position: int) -> tuple[int, int]:
        """(block, offset in it) of the byte at `position`, which is below the size."""
        if self._stops is None:
            return divmod(position, self._block_bytes)
        block = bisect_right(self._stops, position)
        return block, position - self.start(block)
