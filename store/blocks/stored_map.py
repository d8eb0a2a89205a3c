"""A volume's map whose pages are had from checkpoints when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from store.blocks.block_map import LEAVES_DIRTY_MAX, BlockMap, Missing
from store.blocks.checkpoints import Checkpoints
from store.blocks.page_table import PAGE_SHIFT
from store.core.errors import DrystoneError

LOADS_MAX: Final = 16
"""Pages that are loaded at one time."""

CATCH_UP_LEAVES: Final = 1024
"""That are loaded at one time, and then changed: as clean pages they do not count long."""

TOUCHED_MAX: Final = LEAVES_DIRTY_MAX * 3 // 4
"""Nothing is touched where so much has changed already: what is written meanwhile has to have room, too."""


class StoredMap:
    """`map`, of which about `keep` clean pages stay in memory."""

    def __init__(self, map_: BlockMap, checkpoints: Checkpoints, keep: int) -> None:
        self.map = map_
        self._checkpoints = checkpoints
        self._keep = keep
        self._loading = 0

    async def ensure(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Have all there is of these (first block, blocks) in memory, until whoever asked waits for anything else."""
        wanted = list(ranges)
        if self.map.clean_pages > 2 * self._keep:
            self.map.evict(self._keep)
        while missing := {each: None for first, count in wanted for each in self.map.missing(first, count)}:
            limiter = trio.CapacityLimiter(LOADS_MAX)
            failures: list[DrystoneError] = []
            self._loading += 1
            try:
                async with trio.open_nursery() as nursery:
                    for each in missing:
                        nursery.start_soon(self._load, each, limiter, failures)
            finally:
                self._loading -= 1
            if failures:
                raise failures[0]
            if not self._loading:
                await self._checkpoints.close_unused()

    async def catch_up(self) -> None:
        """Have in every leaf what was kept for it: nothing is when this returns, until more is."""
        while behind := self.map.behind:
            for start in range(0, len(behind), CATCH_UP_LEAVES):
                some = behind[start : start + CATCH_UP_LEAVES]
                await self.ensure([(number << PAGE_SHIFT, 1) for number in some])

    async def store_part(self, depth: int, number: int) -> int:
        """Have what has changed stored, as a checkpoint that no head names: so many pages. More of the map may change
        behind it than one checkpoint has room for."""
        await self.catch_up()
        frozen = self.map.freeze(depth, number)
        await self._checkpoints.write(number, frozen, {}, {})
        self.map.stored()
        return len(frozen.pages)

    async def touch(self, is_old: Callable[[int], bool], most: int) -> int:
        """Have up to `most` leaves, and their directories, stored by the next checkpoint that are stored in one that
        `is_old`, by its key, as far as there is room for them: how many these were."""
        touched = 0

        def full() -> bool:
            return touched >= most or self.map.unstored_leaves >= TOUCHED_MAX

        for number in range(self.map.directories):
            if not self.map.directory_key(number):
                continue
            first = number << 2 * PAGE_SHIFT
            await self.ensure_directory(first)
            if full():
                return touched
            if is_old(self.map.directory_key(number)):
                self.map.touch(number, directory=True)
            for leaf, key in list(self.map.leaf_keys(number)):
                if full():
                    return touched
                if is_old(key):
                    await self.ensure([(leaf << PAGE_SHIFT, 1)])
                    self.map.touch(leaf, directory=False)
                    touched += 1
        return touched

    async def ensure_directory(self, block: int) -> None:
        """Have the directory of a block in memory."""
        while (missing := self.map.missing(block, 1)) and missing[0].directory:
            failures: list[DrystoneError] = []
            await self._load(missing[0], trio.CapacityLimiter(1), failures)
            if failures:
                raise failures[0]

    async def _load(self, missing: Missing, limiter: trio.CapacityLimiter, failures: list[DrystoneError]) -> None:
        try:
            async with limiter:
                page = await self._checkpoints.page(missing)
        except DrystoneError as error:
            if self.map.lacks(missing):  # else it has been stored elsewhere, and its checkpoint dropped
                failures.append(error)
            return
        # It may have been loaded, changed, stored elsewhere and forgotten meanwhile.
        if self.map.lacks(missing):
            self.map.loaded(missing, page)
