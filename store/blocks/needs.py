"""What the snapshots of a volume need of its log objects and checkpoints."""

from __future__ import annotations

from typing import NamedTuple

from store.blocks.checkpoints import Checkpoints
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
        self.objects: frozenset[int] = frozenset()
        self.checkpoints: frozenset[int] = frozenset()
        self.unknown = True
        """Whether a snapshot is being made: nobody knows what it needs, and nothing may be dropped."""

    async def refresh(self, epoch: int) -> None:
        """See what there is now. What writers of epochs below have begun to make, and cannot finish, is given up."""
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
        self._known = known
        self.objects = frozenset().union(*(needed.objects for needed in known.values()))
        self.checkpoints = frozenset().union(*(needed.checkpoints for needed in known.values()))
        self.unknown = making

    async def _needed(self, depth: int, number: int) -> _Needed:
        table = await self._checkpoints.table(depth, number)
        own = {number} if depth == self._depth else set()
        return _Needed(
            frozenset(key & OBJECTS_MAX for key in table.objects if key >> 32 == self._depth),
            frozenset(own | {key & OBJECTS_MAX for key in table.checkpoints if key >> 32 == self._depth}),
        )
