"""What the snapshots of a volume, and its past, need of its log objects and checkpoints."""

from __future__ import annotations

from typing import NamedTuple

from store.blocks.checkpoints import Checkpoints
from store.blocks.head import Root
from store.blocks.place import OBJECTS_MAX
from store.blocks.snapshots import Snapshots
from store.blocks.table import Table


class _Needed(NamedTuple):
    objects: frozenset[int]
    checkpoints: frozenset[int]


class Needs:
    """Kept up by `refresh`. Only what is the volume's own counts: what lies in ancestors is theirs to keep."""

    def __init__(self, table: Table, checkpoints: Checkpoints, depth: int) -> None:
        self._snapshots = Snapshots(table)
        self._checkpoints = checkpoints
        self._depth = depth
        self._known: dict[str, _Needed] = {}
        self._objects: frozenset[int] = frozenset()
        self._checkpoints_needed: frozenset[int] = frozenset()
        self._past: Root | None = None
        self.unknown = True
        """Whether a snapshot is being made: nobody knows what it needs, and nothing may be dropped."""

    def object(self, number: int) -> bool:
        """Whether an object is needed. Of the past all is that was written behind its oldest root."""
        return number in self._objects or (self._past is not None and number >= self._past.object)

    def checkpoint(self, number: int) -> bool:
        """Whether a checkpoint is."""
        if number in self._checkpoints_needed:
            return True
        return self._past is not None and (self._past.depth != self._depth or number >= self._past.checkpoint)

    async def refresh(self, epoch: int, past: Root | None) -> None:
        """See what there is now; `past` is the oldest root that the head remembers. Snapshots that writers of epochs
        below have begun to make, and cannot finish, are given up."""
        self.unknown = True
        known: dict[str, _Needed] = {}
        making = False
        for name, snapshot in (await self._snapshots.all()).items():
            if snapshot.root is None:
                await self._snapshots.give_up(name, epoch)
                making = making or snapshot.epoch >= epoch
                continue
            key = f"{snapshot.root.checkpoint} {name}"
            known[key] = self._known.get(key) or await self._needed(snapshot.root.depth, snapshot.root.checkpoint)
        if past is not None and past.checkpoint:
            key = f"{past.checkpoint}"
            known[key] = self._known.get(key) or await self._needed(past.depth, past.checkpoint)
        self._known = known
        self._past = past
        self._objects = frozenset().union(*(needed.objects for needed in known.values()))
        self._checkpoints_needed = frozenset().union(*(needed.checkpoints for needed in known.values()))
        self.unknown = making

    async def _needed(self, depth: int, number: int) -> _Needed:
        table = await self._checkpoints.table(depth, number)
        own = {number} if depth == self._depth else set()
        return _Needed(
            frozenset(key & OBJECTS_MAX for key in table.objects if key >> 32 == self._depth),
            frozenset(own | {key & OBJECTS_MAX for key in table.checkpoints if key >> 32 == self._depth}),
        )
