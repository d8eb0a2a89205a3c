"""The coordinator: how one of many processes writes a row, so that reads, writes and conditional writes of one key are
linearizable. The rules, and why they hold: docs/consistency.md, "A coordinator"; docs/adr/0016.

    plain write         look, place
    conditional write   promise, place
    what was contested  promise, and place what that has found, or what was to be written

Nothing is kept between two calls: any process may be the coordinator of any row, at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple, Protocol

import trio

from store.core.errors import QuorumError, ReplacedError, RetryableError, StaleEpochError
from store.core.stamp import ZERO, Stamp, StampSource
from store.device.port import Applied, DevicePort
from store.device.promise import Promise, prepare_promise
from store.device.row import STAMP_BYTES, Flag, Origin, Row, RowKey
from store.objects.quorum_check import Questions
from store.objects.quorum_look import QuorumLook, newest_seen
from store.objects.quorum_promise import QuorumPromise
from store.objects.quorum_read import ReadRow
from store.ring import ROWS, Ring

TRIES = 12
"""Rounds of one write that others get in the way of, each time anew."""
PAUSE_SECONDS = 0.002
"""After so long, twice as long each time, the next try is made; a random part of it, so that two that get in each
other's way do not do so again."""
NEVER = bytes(STAMP_BYTES)
"""The stamp of no version, packed."""


def version_of(found: ReadRow | None) -> bytes:
    """The stamp, packed, of a version that was found."""
    return NEVER if found is None else found.row.stamp


def replaceable(found: ReadRow | None) -> bytes:
    """The same, of what must still be there for a conditional write to take its place: what is retired is nothing, and
    its stamp may go at any time."""
    return NEVER if found is None or found.retired else found.row.stamp


class Promised(NamedTuple):
    """What was promised, under which ring, and the newest version that a quorum had then."""

    stamp: Stamp
    ring: Ring
    found: ReadRow | None


class Replicas(Protocol):
    """What a coordinator asks of replicas."""

    ring: Ring
    devices: Mapping[int, DevicePort]
    stamps: StampSource

    def read_set(self, ring: Ring, ring_hash: int) -> Sequence[int]:
        """The replicas of which a quorum is looked at, in the order in which they are to be asked."""
        ...

    async def place(self, row: Row, packed: bytes, ring: Ring, *, reserve: bool) -> Applied | None:
        """Write a version to all replicas under a ring; None where a quorum of some live layout has neither it nor what
        stands for it, since promises or other versions are in the way. Raises QuorumError where too few answer (it may
        still take effect), StaleEpochError where devices refuse the ring, and none has taken it, ConflictError where a
        guard keeps it out."""
        ...

    async def whole(self, key: RowKey, packed: bytes, found: ReadRow) -> Row:
        """The row to be written anew as it is, without a guard. Raises ReplacedError where it has been replaced."""
        ...

    async def newer_ring(self, ring: Ring) -> None:
        """Wait for a ring that is newer than this one. Raises StaleEpochError where none comes."""
        ...

    async def go_on_after(self, error: QuorumError, ring: Ring) -> None:
        """The same, after an error of those who were asked by this ring. Raises that, where it is none of the ring."""
        ...


class Coordinator:
    """Writes rows of all keys."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._random = Random(replicas.stamps.writer)  # noqa: S311  # it spreads load

    async def put(
        self, row: Row, packed: bytes, questions: Questions | None = None, *, reserve: bool = False
    ) -> tuple[Row, Applied]:
        """Write a row whatever is there: the row as it was written, and what became of it. Its stamp is chosen here.
        `questions` are awaited before anything is written, and may raise. Raises QuorumError or RetryableError where
        nobody can tell what became of it, ConflictError where a guard refused it."""
        while True:
            ring, seen = await self._look(row.key, packed)
            if questions is not None:
                await questions()
            row = row._replace(stamp=self._replicas.stamps.next(max(seen, row.stamp)))
            try:
                applied = await self._replicas.place(row, packed, ring, reserve=reserve or not row_needs_room(row))
            except StaleEpochError:
                await self._replicas.newer_ring(ring)
                continue
            if applied is not None:
                return row, applied
            return await self._finish(row, packed, ring, reserve=reserve)

    async def replace(
        self, row: Row, packed: bytes, before: ReadRow | None, *, shown: bytes = b"", reserve: bool = False
    ) -> tuple[Row, Applied]:
        """Write a row in the place of just this version (None, or one that is retired: of no version). `shown` is what
        clients are to see as the time of the change, packed, if that is not now. Raises ReplacedError where another
        version is there, and nothing was done; else as `put`."""
        reserve = reserve or not row_needs_room(row)
        promised = await self._promise(row.key, packed, Stamp.unpack(version_of(before)), reserve=reserve)
        if replaceable(promised.found) != replaceable(before):
            raise ReplacedError(f"row {row.key.name!r} is another one now")
        # Of a tombstone that is retired either may know, and whoever tried to write before it must be told of it.
        last = max(before, promised.found, key=version_of)
        origin = Origin(_root_upon(last), version_of(last), shown or promised.stamp.pack())
        row = row._replace(stamp=promised.stamp, origin=origin)
        try:
            applied = await self._replicas.place(row, packed, promised.ring, reserve=reserve)
        except StaleEpochError as error:
            await self._replicas.newer_ring(promised.ring)
            raise ReplacedError(f"row {row.key.name!r} was not written: the ring is another one now") from error
        if applied is not None:
            return row, applied
        return row, await self._made(row, packed, promised.ring)

    async def settle(self, key: RowKey, packed: bytes) -> None:
        """Have the newest version that a quorum has be at one above all that was promised. Raises ReplacedError where
        another writer was faster; else as `put`."""
        promised = await self._promise(key, packed, ZERO, reserve=True)
        if promised.found is not None and await self._again(key, packed, promised) is None:
            raise ReplacedError(f"row {key.name!r} changes while it is settled")

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _look(self, key: RowKey, packed: bytes) -> tuple[Ring, Stamp]:
        """A ring, and a stamp that is not below any that was acknowledged before."""
        while True:
            ring = self._replicas.ring
            near_first = self._replicas.read_set(ring, key.ring_hash)
            asked = QuorumLook(near_first, self._replicas.devices, packed, ring.epoch)
            if not asked.ask():
                try:
                    await asked.wait()
                except QuorumError as error:
                    await self._replicas.go_on_after(error, ring)
                    continue
            return ring, Stamp.unpack(asked.floor)

    async def _promise(self, key: RowKey, packed: bytes, seen: Stamp, *, reserve: bool) -> Promised:
        for _ in range(TRIES):
            ring = self._replicas.ring
            stamp = self._replicas.stamps.next(seen)
            asked = QuorumPromise(
                ring.write_sets(ROWS, key.ring_hash),
                ring.read_set(ROWS, key.ring_hash),
                self._replicas.devices,
                prepare_promise(Promise(key, stamp), ring.epoch),
                reserve=reserve,
            )
            if not asked.ask():
                await asked.wait()
            if asked.given:
                return Promised(stamp, ring, newest_seen(packed, asked.believed, ring.epoch, waited=True))
            if asked.barred:
                seen = Stamp.unpack(max(each.floor for each in asked.barred))
            else:
                error = QuorumError("promising a row", asked.needed, len(asked.answers), asked.failures)
                await self._replicas.go_on_after(error, ring)
        raise RetryableError(f"others write row {key.name!r} all the time")

    async def _again(self, key: RowKey, packed: bytes, promised: Promised) -> Applied | None:
        """Place the version that was found under the promise that was given since; a tombstone where there was none.
        What was acknowledged, or read, goes into the reserve. Raises ReplacedError where it cannot be loaded any
        more."""
        found = promised.found
        if found is None:
            row = Row(key, ZERO, Flag.TOMBSTONE, 0, 0, 0, b"", b"", b"", b"")
            origin = Origin(NEVER, NEVER, NEVER)
        else:
            row = await self._replicas.whole(key, packed, found)
            origin = Origin(_root_upon(found), found.row.stamp, found.row.shown)
        row = row._replace(stamp=promised.stamp, origin=origin)
        return await self._place_under(promised, row, packed, reserve=True)

    async def _place_under(self, promised: Promised, row: Row, packed: bytes, *, reserve: bool) -> Applied | None:
        """Place a version under a promise; None where that is to be given anew."""
        try:
            return await self._replicas.place(row, packed, promised.ring, reserve=reserve)
        except StaleEpochError:
            await self._replicas.newer_ring(promised.ring)
            return None

    async def _finish(self, row: Row, packed: bytes, begun: Ring, *, reserve: bool) -> tuple[Row, Applied]:
        """Finish a plain write that not all have taken who should. If what a quorum has as it promises a stamp above
        comes of it or of a newer plain write, it has taken effect; else it never will, and is written anew."""
        first = row.stamp.pack()
        seen = row.stamp
        for attempt in range(TRIES):
            await self.pause(attempt)
            promised = await self._promise(row.key, packed, seen, reserve=reserve or not row_needs_room(row))
            seen = promised.stamp
            self._check_age(row, begun, promised.ring)
            if promised.found is not None and _may_be_older(promised.found, first):
                raise _unknown(row)
            if promised.found is not None and promised.found.row.root >= first:
                try:
                    applied = await self._again(row.key, packed, promised)
                except ReplacedError:
                    continue
                if applied is not None:
                    return row, applied
                continue
            anew = row._replace(stamp=promised.stamp)
            applied = await self._place_under(promised, anew, packed, reserve=reserve or not row_needs_room(row))
            if applied is not None:
                return anew, applied
        raise _unknown(row)

    async def _made(self, row: Row, packed: bytes, begun: Ring) -> Applied:
        """What became of a conditional write that not all have taken who should. Raises ReplacedError where it has not
        taken effect, and never will; RetryableError where nobody can tell."""
        made = row.stamp.pack()
        mine = {made}
        seen = row.stamp
        for attempt in range(TRIES):
            await self.pause(attempt)
            promised = await self._promise(row.key, packed, seen, reserve=True)
            seen = promised.stamp
            self._check_age(row, begun, promised.ring)
            there = version_of(promised.found)
            origin = None if promised.found is None else promised.found.row.origin
            taken = there in mine or (origin is not None and origin.base in mine)
            if not taken and there > made and (origin is None or origin.base > made):
                raise _unknown(row)
            if taken:
                mine |= {there, promised.stamp.pack()}
            try:
                applied = await self._again(row.key, packed, promised)
            except ReplacedError:
                continue
            if applied is None:
                continue
            if taken:
                return applied
            raise ReplacedError(f"row {row.key.name!r} was not written: another one is there")
        raise _unknown(row)

    # -- small things --------------------------------------------------------------------------------------------

    def _check_age(self, row: Row, begun: Ring, ring: Ring) -> None:
        """Raises where tombstones that were there when the write began may be forgotten: it must not come back."""
        if begun.epoch < ring.collected:
            raise _unknown(row)

    async def pause(self, attempt: int) -> None:
        """Wait before a further try, longer each time, and not as long as others do."""
        await trio.sleep(self._random.uniform(0, PAUSE_SECONDS * 2**attempt))


def _root_upon(found: ReadRow | None) -> bytes:
    """The root of what takes the place of this, and depends on it. What is retired hands none on: a plain write that is
    below its stamp may have come after it."""
    return NEVER if found is None or found.retired else found.row.root


def _may_be_older(found: ReadRow, first: bytes) -> bool:
    """Whether nobody can tell if a plain write, which was first sent under this stamp, came before what was found, and
    was overwritten by it, or is newer: it is retired, or came of what was."""
    origin = found.row.origin
    return found.retired or (origin is not None and origin.root == NEVER and origin.base >= first)


def row_needs_room(row: Row) -> bool:
    """Whether it may go where there is no room above the reserve: what deletes, or ends an upload, may."""
    return not row.flags & (Flag.TOMBSTONE | Flag.ABORT)


def _unknown(row: Row) -> RetryableError:
    return RetryableError(f"row {row.key.name!r} may have been written, or not: others write it at the same time")
