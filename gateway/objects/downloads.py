"""What all downloads hold in memory at once has one bound.

A piece is held until its client has taken it, so clients that do not read would hold a block each. Half of the
memory is for whole blocks, which are the fastest way to read; whoever finds it in use goes on with pieces of one
checksum, from the other half. Where that is in use too, one waits for another's client, and a client that has taken
nothing for a while makes room: it is cut off.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import trio

from gateway.objects.reading import Sink, closing, pour
from store.core.limits import BLOCK_BYTES, CHECK_BYTES
from store.objects.interface import OpenObject

PATIENCE: Final = 5.0
"""Seconds in which a client takes at least one small piece, where others wait for the memory."""

_TICK: Final = 0.1
"""So much later than it could be: a wait that ends a rounding error too early would be begun again at once."""


class CutOffError(ConnectionError):
    """The client took nothing while others waited for the memory that its piece is in."""


class Downloads:
    """The memory for pieces that go out; `bytes_max` is how much."""

    def __init__(self, bytes_max: int) -> None:
        self._blocks_left = max(1, bytes_max // 2 // BLOCK_BYTES)
        self._smalls = trio.Semaphore(max(1, bytes_max // 2 // CHECK_BYTES))
        self._waiting = 0
        self._leaving = 0
        self._offered: dict[_Small, None] = {}

    async def pour(self, opened: OpenObject, start: int, stop: int, sink: Sink) -> None:
        """Give the bytes [start, stop) of an object to `sink`. Raises CutOffError."""
        while start < stop:
            if self._blocks_left:
                self._blocks_left -= 1
                try:
                    await pour(opened, start, stop, sink)
                finally:
                    self._blocks_left += 1
                return
            start = await self._pour_small(opened, start, stop, sink)

    async def _pour_small(self, opened: OpenObject, start: int, stop: int, sink: Sink) -> int:
        end = min(stop, (start // CHECK_BYTES + 1) * CHECK_BYTES)
        await self._take_small()
        small = _Small(self)
        try:
            async with closing(opened.read(start, end)) as pieces:
                # Copied, so that nothing of the block or stripe around it is held beside it.
                data = b"".join([bytes(piece) async for piece in pieces])
            await small.offer(data, sink)
        finally:
            self._leaving -= small.cut
            self._smalls.release()
        return end

    async def _take_small(self) -> None:
        """Room for a small piece; those who wait for it get it in order, as far as they have patience."""
        try:
            self._smalls.acquire_nowait()
        except trio.WouldBlock:
            self._waiting += 1
            try:
                while True:
                    with trio.move_on_after(self._make_room()):
                        await self._smalls.acquire()
                        return
            finally:
                self._waiting -= 1

    def _make_room(self) -> float:
        """Cut off clients that have had a piece before them for too long, as many as others wait; how long to wait."""
        due = trio.current_time() - PATIENCE
        for small in list(islice(self._offered, self._waiting)):
            if small.since > due:
                return small.since - due + _TICK
            if self._leaving == self._waiting:
                break
            del self._offered[small]
            small.cut_off()
            self._leaving += 1
        return PATIENCE

    def offered(self, small: _Small) -> None:
        """A client has a piece before it."""
        self._offered[small] = None

    def taken(self, small: _Small) -> None:
        """It has taken it, or is gone."""
        self._offered.pop(small, None)


class _Small:
    """A small piece on its way."""

    __slots__ = ("_downloads", "_scope", "cut", "since")

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads
        self._scope = trio.CancelScope()
        self.since = 0.0
        self.cut = False

    async def offer(self, data: bytes, sink: Sink) -> None:
        """Have the client take the piece."""
        self.since = trio.current_time()
        self._downloads.offered(self)
        try:
            with self._scope:
                await sink(data)
        finally:
            self._downloads.taken(self)
        if self._scope.cancelled_caught:
            raise CutOffError("the client took nothing while others waited")

    def cut_off(self) -> None:
        """Give the client up."""
        self.cut = True
        self._scope.cancel()
