"""Snapshots as rows: what a volume was at one moment, and which clones were made of it.

The row is `s` and the snapshot's name:

    payload  msgpack [1, epoch, size, root or nil, created (microseconds), [id of a clone, ...], deleted]

It is written first without a root, by the writer of that `epoch`: while it has none, nobody drops anything of the
volume. Then the map is stored, or what the log has behind the last that was stored is counted in, and the row says the
root. One that has none and is of an older epoch was left by a writer that was replaced: the next removes it. One that
is `deleted` stays, unseen, as long as there are clones of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgpack

from store.blocks.disk import OwnerReplacedError
from store.blocks.head import Root, decode_root, encode_root
from store.blocks.table import Table
from store.core.codec import unknown_version
from store.core.errors import ConflictError, DamageError, InvalidError, NotFoundError
from store.core.limits import NAME_BYTES_MAX
from store.device.row import Row
from store.objects.rows import tombstone

VERSION: Final = 1
PREFIX: Final = "s"


class Snapshot(NamedTuple):
    """One snapshot. `root` is None while it is made."""

    epoch: int
    size: int
    root: Root | None
    created_us: int
    clones: tuple[bytes, ...] = ()
    deleted: bool = False

    def encode(self) -> bytes:
        root = None if self.root is None else encode_root(self.root)
        packed: bytes = msgpack.packb(
            (VERSION, self.epoch, self.size, root, self.created_us, self.clones, self.deleted)
        )
        return packed

    @classmethod
    def decode(cls, packed: bytes | bytearray | memoryview) -> Snapshot:
        """Raises DamageError where that is none, NewerError where a newer program wrote it."""
        try:
            fields: list[Any] = msgpack.unpackb(packed)
            if fields[0] != VERSION:
                raise unknown_version("snapshot of a volume", fields[0], (VERSION,))
            _, epoch, size, root, created_us, clones, deleted = fields
            return cls(epoch, size, decode_root(root) if root else None, created_us, tuple(clones), deleted)
        except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
            raise DamageError(f"a snapshot is not of a known form: {error}") from error


def check_name(name: str) -> None:
    """Raises InvalidError where no snapshot has this name."""
    if not name or "/" in name or len(name.encode()) >= NAME_BYTES_MAX - 1:
        raise InvalidError(f"a snapshot's name has 1 to {NAME_BYTES_MAX - 2} bytes, and no slash")


class Snapshots:
    """The snapshots of one volume, whoever has it. Who makes some does that by one of these alone."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._making: set[str] = set()
        self.begun = 0
        """How many were begun here."""

    async def all(self) -> dict[str, Snapshot]:
        """Every one, by name: also those that are being made, or are deleted."""
        found: dict[str, Snapshot] = {}
        after = ""
        while names := await self._table.names(PREFIX, after):
            after = names[-1]
            for name in names:
                if (row := await self._table.load(name)) is not None:
                    found[name[len(PREFIX) :]] = Snapshot.decode(row.payload)
        return found

    async def find(self, name: str) -> Snapshot:
        """One that is made and not deleted. Raises NotFoundError."""
        row = await self._table.load(PREFIX + name)
        snapshot = None if row is None else Snapshot.decode(row.payload)
        if snapshot is None or snapshot.deleted or snapshot.root is None:
            raise NotFoundError(f"there is no snapshot {name}")
        return snapshot

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """While one is made here. Raises InvalidError where none can have this name, ConflictError where another of it
        is being made."""
        check_name(name)
        if name in self._making:
            raise ConflictError(f"a snapshot {name} is being made already")
        self._making.add(name)
        self.begun += 1
        try:
            yield
        finally:
            self._making.discard(name)

    def made_since(self, begun: int) -> bool:
        """Whether one is being made here, or was at some time since so many were `begun`."""
        return bool(self._making) or self.begun > begun

    async def begin(self, name: str, snapshot: Snapshot) -> None:
        """Say that one is being made. Raises ConflictError where there is one of this name, OwnerReplacedError where a
        newer writer makes one."""

        def edit(row: Row | None) -> Row | None:
            if row is None:
                return self._row(name, snapshot)
            there = Snapshot.decode(row.payload)
            if there.root is not None:
                raise ConflictError(f"there is a snapshot {name} already")
            if there.epoch > snapshot.epoch:
                raise OwnerReplacedError(f"a snapshot {name} is being made by somebody who has opened the volume since")
            return None if there == snapshot else self._row(name, snapshot)

        await self._table.change(PREFIX + name, edit)

    async def finish(self, name: str, begun: Snapshot, root: Root) -> Snapshot:
        """Say what one is that was begun. Raises OwnerReplacedError where it was given up."""
        made = begun._replace(root=root)

        def edit(row: Row | None) -> Row | None:
            there = None if row is None else Snapshot.decode(row.payload)
            if there == made:
                return None
            if there != begun:
                raise OwnerReplacedError(f"snapshot {name} was given up: somebody else has opened the volume")
            return self._row(name, made)

        await self._table.change(PREFIX + name, edit)
        return made

    async def give_up(self, name: str, below: int, only: Snapshot | None = None) -> bool:
        """Remove one that is not made, of a writer of a lower epoch; `only` this. Whether it is gone."""
        gone = True

        def edit(row: Row | None) -> Row | None:
            nonlocal gone
            there = None if row is None else Snapshot.decode(row.payload)
            gone = there is None
            if there is None or there.root is not None or there.epoch >= below or (only or there) != there:
                return None
            gone = True
            return tombstone(self._table.key(PREFIX + name), self._table.container.policy)

        await self._table.change(PREFIX + name, edit, reserve=True)
        return gone

    async def delete(self, name: str) -> None:
        """Delete one: what clones of it need stays. Raises NotFoundError."""

        def edit(row: Row | None) -> Row:
            there = None if row is None else Snapshot.decode(row.payload)
            if there is None or there.deleted or there.root is None:
                raise NotFoundError(f"there is no snapshot {name}")
            if there.clones:
                return self._row(name, there._replace(deleted=True))
            return tombstone(self._table.key(PREFIX + name), self._table.container.policy)

        await self._table.change(PREFIX + name, edit, reserve=True)

    async def add_clone(self, name: str, root: Root, clone: bytes) -> None:
        """Note that a volume is made of one that has this root. Raises NotFoundError where there is none any more, or
        another has its name."""

        def edit(row: Row | None) -> Row | None:
            there = None if row is None else Snapshot.decode(row.payload)
            if there is None or there.deleted or there.root != root:
                raise NotFoundError(f"there is no snapshot {name} any more")
            if clone in there.clones:
                return None
            return self._row(name, there._replace(clones=(*there.clones, clone)))

        await self._table.change(PREFIX + name, edit)

    async def remove_clone(self, name: str, clone: bytes) -> None:
        """Note that a volume needs nothing of one any more. One that is deleted goes with the last."""

        def edit(row: Row | None) -> Row | None:
            there = None if row is None else Snapshot.decode(row.payload)
            if there is None or clone not in there.clones:
                return None
            left = there._replace(clones=tuple(each for each in there.clones if each != clone))
            if left.deleted and not left.clones:
                return tombstone(self._table.key(PREFIX + name), self._table.container.policy)
            return self._row(name, left)

        await self._table.change(PREFIX + name, edit, reserve=True)

    def _row(self, name: str, snapshot: Snapshot) -> Row:
        return self._table.row(PREFIX + name, snapshot.encode())
