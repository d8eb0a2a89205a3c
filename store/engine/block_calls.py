"""Calls of the port about data blocks: the data half of a device.

Blocks go into bulk segments, and into the block table when they are durable. A block that cannot be read as the index
says is looked up again before it counts as damaged: it may have been written anew, or moved to another payload, since.
"""

from __future__ import annotations

from functools import partial

import trio

from store.core.errors import DamageError, DrystoneError
from store.core.wait_group import WaitGroup
from store.device.block import BlockKey, IndexBlock, data_prefix, encode_reference
from store.device.block import decode_meta as decode_block
from store.device.block import index_key as block_key
from store.device.port import Done, ReadReply
from store.device.record import BULK_ALIGN, Kind, Sealed, seal
from store.device.row import RowKey
from store.engine.bulk import Reflink
from store.engine.parts import Parts

_ALL = 1 << 30


class BlockCalls(Parts):
    """What `DevicePort` says of data."""

    @property
    def data_losses(self) -> int:
        """To be read before the first block of an upload, and handed to `submit_sync`. What was read of a device that
        has been opened anew since counts as a loss."""
        return self._opening + self._bulk.losses

    def submit_block(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None
    ) -> None:
        """Write a block; `done` is called when the next may come. It is durable with the next sync. Raises as rows.
        `cached` leaves it in memory for those who read it soon. `epoch` is its writer's, of data that are fenced:
        raises FencedError where it is below the fence, or there is none."""
        if self.health.failed is not None:
            raise self.health.failed
        if epoch is not None:
            self.data_fences.check(key.data_id, epoch)
        self.room.check_for(sealed.payload_bytes)
        self._bulk.submit(key, sealed, done, cached=cached)

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        """Make a block of another block's payload, which is not written again; else as `submit_block`. The source must
        not be dropped before this is durable; if that, or its being written anew, leaves nothing to share, `lost` is
        called before the sync is answered. Raises DamageError where the source is not here."""
        if self.health.failed is not None:
            raise self.health.failed
        self.room.check_for(BULK_ALIGN)
        entry = self._block(source)
        self.blocks.references(entry.location)  # where that is damaged, no reference would be taken
        sealed = seal(Kind.REFERENCE, encode_reference(key, owner, entry))
        self._bulk.submit(key, sealed, done, reflink=Reflink(source, entry, lost))

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        """Write a block and wait until the next may come: for those who write one after the other."""
        waiting = WaitGroup()
        waiting.add()
        self.submit_block(key, sealed, waiting.done)
        await waiting.wait()

    def submit_sync(self, losses: int, done: Done) -> None:
        """Call `done` when all blocks submitted before are durable."""
        if self.health.failed is not None:
            raise self.health.failed
        self._bulk.sync(losses - self._opening, lambda error: done(error or self.health.failed))

    async def sync_data(self, losses: int) -> None:
        """Wait until all blocks submitted before are durable."""
        finished = trio.Event()
        answer: list[DrystoneError | None] = []

        def done(error: DrystoneError | None) -> None:
            answer.append(error)
            finished.set()

        self.submit_sync(losses, done)
        await finished.wait()
        if answer[0] is not None:
            raise answer[0]

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        """Bytes [start, stop) of a block's payload, verified. Raises DamageError where it is missing or bad."""
        return await self._answer_of(partial(self.submit_read, key, start, stop))

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        """The same: at once where index and page cache have it."""
        self.health.check()
        self._have(block_key(key), partial(self._read_found, key, start, stop, reply, None, None))

    def _read_found(
        self,
        key: BlockKey,
        start: int,
        stop: int | None,
        reply: ReadReply,
        before: IndexBlock | None,
        damage: DamageError | None,
        error: DrystoneError | None,
    ) -> None:
        """Its entry is in memory now, or cannot be had; `before`, the block was found damaged."""
        try:
            if error is not None:
                raise error
            entry = self._block(key)
            if damage is not None and entry == before:
                self.report_damage(b"d" + key.data_id, str(damage))
                raise damage
        except DrystoneError as failure:
            reply(self.id, None, failure)
            return
        have_read = partial(self._have_read, key, start, stop, reply, entry)
        self.reads.submit_block(entry, start, entry.payload_bytes if stop is None else stop, have_read)

    def _have_read(
        self,
        key: BlockKey,
        start: int,
        stop: int | None,
        reply: ReadReply,
        entry: IndexBlock,
        piece: memoryview | None,
        error: DrystoneError | None,
    ) -> None:
        if isinstance(error, DamageError):
            # A repair may have written it anew since the index was read: then look again.
            self._read_found(key, start, stop, reply, entry, error, None)
        else:
            reply(self.id, piece, error)

    async def verify_block(self, key: BlockKey) -> int:
        """Read a block and, where its payload is another block's, the reference to that. The bytes read. Raises
        DamageError where anything is missing or bad."""
        payload = await self.read_block(key)
        entry = self._block(key)
        while entry.reference is not None:
            try:
                await self.reads.meta(entry.reference)
                return len(payload) + entry.reference.length
            except DamageError as error:
                now = self._block(key)  # it may have been written anew, or dropped, since it was looked up
                if now == entry:
                    self.report_damage(b"d" + key.data_id, str(error))
                    raise
                entry = now
        return len(payload)

    def _block(self, key: BlockKey) -> IndexBlock:
        entry = self.blocks.find(key)
        if entry is None:
            raise DamageError(f"device {self.id} has no block {key.block} of {key.data_id.hex()}")
        return entry

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        """(data id, key of the row that they were written for) of data here behind a data id, and the data id to go on
        behind (empty at the end). Data whose record cannot be read are left out."""
        await self._have_range(data_prefix(after), b"e", limit)
        page = self.blocks.first_of_each(after, limit)
        owners = []
        for data_id, entry in page:
            try:
                owners.append((data_id, decode_block(await self.reads.meta(entry.own))[1]))
            except DamageError as error:
                if any(now == entry for _, now in self.blocks.of(data_id)):  # else it was dropped since
                    self.report_damage(b"d" + data_id, str(error))
        return owners, page[-1][0] if len(page) == limit else b""

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        """(block, fragment) of all blocks of these data that the index knows here."""
        await self._have_range(data_prefix(data_id), data_prefix(data_id) + b"\xff" * 6, _ALL)
        return [(int.from_bytes(key[17:21]), key[21]) for key, _ in self.blocks.of(data_id)]

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        """Drop all blocks of these data, and their fence; `done` is called when that is durable and their space is on
        its way back."""
        if self.health.failed is not None:
            raise self.health.failed
        self.data_fences.forget(data_id)
        if not self._flusher.drop(data_id, done):
            self._bulk.sync(self._bulk.losses, lambda _error: self.backlog.changed())
        self.backlog.changed()
