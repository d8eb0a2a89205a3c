"""What the snapshots of a volume, and its past, need of its log objects and checkpoints."""

from __future__ import annotations

from typing import NamedTuple

from store.blocks.checkpoints import Checkpoints
from store.blocks.head import Root
from store.blocks.place import OBJECTS_MAX
from store.blocks.snapshots import Snapshots


class _Needed(NamedTuple):
    objects: frozenset[int]
    checkpoints: frozenset[int]


class Needs:
    """Kept up by `refresh`. Only what is the volume's own counts: what lies in ancestors is theirs to keep."""

    def __init__(self, snapshots: Snapshots, checkpoints: Checkpoints, depth: int) -> None:
        self._snapshots = snapshots
        self._checkpoints = checkpoints
        self._depth = depth
        self._known: dict[Root, _Needed] = {}
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
        below have begun to make, and cannot finish, are given up; and those of this one that nobody makes any more."""
        self.unknown = True
        known: dict[Root, _Needed] = {}
        making = False
        begun = self._snapshots.begun
        found = await self._snapshots.all()
        left = epoch if self._snapshots.made_since(begun) else epoch + 1
        for name, snapshot in found.items():
            if snapshot.root is None:
                gone = await self._snapshots.give_up(name, left, snapshot)
                making = making or not gone
                continue
            known[snapshot.root] = self._known.get(snapshot.root) or await self._needed(snapshot.root)
        if past is not None and (past.checkpoint or past.behind):
            known[past] = self._known.get(past) or await self._needed(past)
        self._known = known
        self._past = past
        self._objects = frozenset().union(*(needed.objects for needed in known.values()))
        self._checkpoints_needed = frozenset().union(*(needed.checkpoints for needed in known.values()))
        self.unknown = making

    async def _needed(self, root: Root) -> _Needed:
        objects: set[int] = set()
        checkpoints: set[int] = set()
        if root.checkpoint:
            table = await self._checkpoints.table(root.depth, root.checkpoint)
            objects.update(key & OBJECTS_MAX for key in table.objects if key >> 32 == self._depth)
            checkpoints.update(key & OBJECTS_MAX for key in table.checkpoints if key >> 32 == self._depth)
        if root.depth == self._depth:
            checkpoints.add(root.checkpoint)
            if root.behind is not None:
                objects.update(range(root.behind.first, root.behind.last + 1))
        return _Needed(frozenset(objects), frozenset(checkpoints))
