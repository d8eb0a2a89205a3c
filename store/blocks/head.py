"""The head of a volume: row `h`, changed by compare-and-set alone. Who writes the volume, and where its map begins.

    payload  msgpack [1, size, epoch, root, next checkpoint, lineage, origin, deleted, window, history, holder,
              since, trashed]
    root     [depth, checkpoint, object, sequence], of a snapshot or a clone perhaps with [object, sequence, last
             object, last sequence] behind these
    lineage  [id of the first ancestor, ...]: of a volume that is a clone, one for each depth below its own
    origin   of a volume that is a clone, the name of the snapshot of its parent that it was made of; else empty

    window   the volume can be seen as it was at any time of so many microseconds past; 0 says that it cannot
    history  [[time in microseconds, root], ...]: roots of the window, and one before it, the oldest first

    holder   who has the volume open to write it, in words, since a time in microseconds; empty where it was closed in
             good order
    trashed  the volume is in the trash (`store/blocks/trash.py`): nobody opens it, and all of it is kept; left out
             where it is not

A head that ends before the holder is of an older program, and says nothing of who has it open.

`size` is in bytes. `epoch` is that of the last who opened the volume to write it. A root is a map as it was behind one
frame: checkpoint 0 says that it was empty; frames up to `sequence` are in it, and those behind are in the log from
`object` on. The depth of a root says whose checkpoint that is: the volume's own, or an ancestor's. What a root has
behind it is in its map, too: the frames above that sequence up to the last one, in the log of the volume whose
checkpoint it is, in its objects from the first to the last, all sealed.

A volume that is deleted while there are clones of it is kept for what these need: nobody opens it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgpack

from store.core.codec import unknown_version
from store.core.errors import DamageError

VERSION: Final = 1
ROW_NAME: Final = "h"
SIZE_MAX: Final = 64 << 40
PAST_US: Final = 10_000_000
"""Roots of the past are kept about so far apart."""


class Behind(NamedTuple):
    """Frames of a log behind a checkpoint: those above `sequence`, up to `until`, in its objects `first` to `last`,
    which are all sealed."""

    first: int
    sequence: int
    last: int
    until: int


class Root(NamedTuple):
    """A map as it was behind the frame `sequence`. What is not in it begins in the volume's log object `object`. The
    map is a checkpoint, and what is `behind` that in the log of the volume of this depth."""

    depth: int
    checkpoint: int
    object: int
    sequence: int
    behind: Behind | None = None


class Past(NamedTuple):
    """What the root was at a time. Frames in it were written before, by the writer's clock."""

    time_us: int
    root: Root


class Head(NamedTuple):
    """`next_checkpoint` is the lowest number that no checkpoint has had, or may get."""

    size: int
    epoch: int
    root: Root
    next_checkpoint: int
    lineage: tuple[bytes, ...] = ()
    origin: str = ""
    deleted: bool = False
    window_us: int = 0
    history: tuple[Past, ...] = ()
    holder: str = ""
    since_us: int = 0
    trashed: bool = False

    def with_root(self, root: Root, now_us: int) -> Head:
        """With a newer root."""
        return self._replace(root=root, history=self._remembered(root, now_us))

    def _remembered(self, root: Root, now_us: int) -> tuple[Past, ...]:
        if not self.window_us:
            return ()
        past = list(self.history)
        if len(past) > 1 and past[-1].time_us < past[-2].time_us + PAST_US:
            past.pop()  # the one before it is as good, with a little more of the log behind it
        past.append(Past(now_us, root))
        base = max((at for at, each in enumerate(past) if each.time_us <= now_us - self.window_us), default=0)
        return tuple(past[base:])

    @property
    def oldest(self) -> Root | None:
        """The oldest root that it remembers."""
        return self.history[0].root if self.history else None

    @property
    def depth(self) -> int:
        """Of this volume in its chain of clones."""
        return len(self.lineage)

    def encode(self) -> bytes:
        history = [(past.time_us, encode_root(past.root)) for past in self.history]
        before = self.size, self.epoch, encode_root(self.root), self.next_checkpoint, self.lineage, self.origin
        after = self.deleted, self.window_us, history, self.holder, self.since_us
        packed: bytes = msgpack.packb((VERSION, *before, *after, *((True,) if self.trashed else ())))
        return packed

    @classmethod
    def decode(cls, packed: bytes | bytearray | memoryview) -> Head:
        """Raises DamageError where that is none, NewerError where a newer program wrote it."""
        try:
            fields = msgpack.unpackb(packed)
            if fields[0] != VERSION:
                raise unknown_version("head of a volume", fields[0], (VERSION,))
            _, size, epoch, root, next_checkpoint, lineage, origin, deleted, window_us, history, *held = fields
            past = tuple(Past(time_us, decode_root(each)) for time_us, each in history)
            return cls(
                size, epoch, decode_root(root), next_checkpoint, tuple(lineage), origin, deleted, window_us, past, *held
            )
        except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
            raise DamageError(f"the head of a volume is not of a known form: {error}") from error


def encode_root(root: Root) -> Sequence[Any]:
    """For msgpack."""
    return root[:4] if root.behind is None else root


def decode_root(stored: Sequence[Any]) -> Root:
    """Raises TypeError where that is none."""
    depth, checkpoint, object_, sequence, *behind = stored
    return Root(depth, checkpoint, object_, sequence, Behind(*behind[0]) if behind else None)


def new_head(size: int, window_us: int = 0) -> Head:
    """Of an empty volume of so many bytes."""
    return first_head(Head(size, 0, Root(0, 0, 1, 0), 1, window_us=window_us))


def first_head(head: Head) -> Head:
    """Of a volume that is made with this root: it was so at any time before."""
    return head._replace(history=(Past(0, head.root),) if head.window_us else ())
