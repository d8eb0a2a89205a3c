"""What a volume that is open can say of itself in numbers."""

from __future__ import annotations

from typing import NamedTuple

from store.blocks.frame import Kind
from store.blocks.log_frame import LogFrame
from store.blocks.place import BLOCK_BYTES


class Figures(NamedTuple):
    """Bytes, but for `mapped_blocks`; the first three since it was opened.

    `logged` was written to the log in each copy, of that `moved` by the cleaner (without headers); `checkpointed` to
    checkpoints beside the log. `log` is what its own sealed log objects take in each copy, of that `live` what the map
    needs. `map_memory` are pages of the map in memory, and `held` is what waits to come into the map."""

    logged: int
    moved: int
    checkpointed: int
    log: int
    live: int
    mapped_blocks: int
    map_memory: int
    held: int


class LogCounts:
    """What has been appended to a log, since it was opened."""

    def __init__(self) -> None:
        self.logged = 0
        self.moved = 0

    def note(self, frame: LogFrame) -> None:
        """One more frame."""
        self.logged += (1 + frame.pages) * BLOCK_BYTES  # with a page of headers
        self.moved += BLOCK_BYTES * sum(entry.blocks for entry in frame.entries if entry.kind is Kind.MOVE)
