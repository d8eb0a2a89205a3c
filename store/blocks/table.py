"""The rows of one volume: its head, log objects, checkpoints and snapshots, in a container of its own. Each is changed
by compare-and-set alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from store.core.errors import ReplacedError, RetryableError
from store.core.stamp import ZERO
from store.device.record import Buffer
from store.device.row import Flag, Row, RowKey, index_key
from store.objects.model import Container, ListingQuery, ObjectHead, Policy, Subdir
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import DataLocation, encode_object
from store.objects.rows import tombstone
from store.objects.store import DeviceStore

READ_TRIES = 16
_ETAG = "0" * 32
"""Nobody asks for the MD5 of these."""

Edit = Callable[[Row | None], Row | None]
"""Makes the next version of a row of the newest (None where there is none), or nothing. May be called again."""


class Table:
    """The rows of a volume, by name."""

    def __init__(self, store: DeviceStore, container: Container) -> None:
        self.store = store
        self.container = container

    @property
    def policy(self) -> Policy:
        """How its data are kept."""
        return next(policy for policy in self.store.policies if policy.index == self.container.policy)

    def key(self, name: str) -> RowKey:
        return self.store.rows.key(self.container.id, self.container.shards, name.encode())

    async def load(self, name: str) -> Row | None:
        """The newest version of a row, whole; None where there is none."""
        key = self.key(name)
        packed = index_key(key)
        for _ in range(READ_TRIES):
            found = await self.store.rows.read(key, packed)
            if found is None or not found.row.live:
                return None
            with suppress(ReplacedError):
                return await self.store.rows.load(key, packed, found)
        raise RetryableError(f"row {name} changes faster than it can be read")

    async def change(self, name: str, edit: Edit, *, reserve: bool = False) -> Row | None:
        """Write what `edit` makes of the newest version in the place of just that one; None where it makes nothing of
        it. What takes a volume over, or ends what was begun, may use the `reserve` of devices that are full. Raises
        QuorumError or RetryableError where nobody can tell what became of it, NotFoundError where the volume is gone.
        """
        key = self.key(name)
        packed = index_key(key)

        async def edited(found: ReadRow | None) -> Row | None:
            there = found is not None and found.row.live
            return edit(await self.store.rows.load(key, packed, found) if found is not None and there else None)

        with await self.store.tables.begin_writing(self.container):
            done = await self.store.rows.change_by_lock(key, packed, edited, reserve=reserve)
            if done is not None and not self.store.rows.alone:
                await self.store.tables.check_container(self.container)
        if done is None:
            return None
        row, applied = done
        if applied.displaced is not None and applied.displaced.flags & Flag.DATA:
            self.store.on_garbage()
        return row

    async def delete(self, name: str) -> None:
        """Have no such row any more; its data are dropped behind it."""
        key = self.key(name)
        await self.change(name, lambda row: None if row is None else tombstone(key, row.policy))

    def row(
        self,
        name: str,
        payload: Buffer,
        *,
        data_id: bytes = b"",
        location: DataLocation | None = None,
        size: int | None = None,
    ) -> Row:
        """A row to be written. `size` is what it counts for, its payload without it."""
        summary, detail = encode_object(_ETAG, ObjectHead("application/x-drystone-volume"), None, location)
        flags = Flag.DATA if data_id else 0
        counted = len(payload) if size is None else size
        return Row(
            self.key(name), ZERO, flags, self.container.policy, counted, 0, data_id, summary, detail, bytes(payload)
        )

    async def names(self, prefix: str, after: str = "", limit: int = 1000) -> list[str]:
        """The names of rows that begin with this, in order, behind `after`."""
        query = ListingQuery(prefix=prefix, marker=after, limit=limit)
        entries = await self.store.list_objects(self.container, query)
        return [entry.name for entry in entries if not isinstance(entry, Subdir)]
