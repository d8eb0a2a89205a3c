"""A volume as its clients have it: what they ask of it is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final

import trio

from drystone.loop_stalls import Durations
from store.blocks.disk import Extent
from store.blocks.figures import Figures
from store.blocks.volume import Volume
from store.core.errors import DrystoneError
from store.device.record import Buffer

BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets, in seconds."""
KINDS: Final = ("read", "write", "zero", "discard", "flush")
WRITERS: Final = ("clients", "cleaning", "checkpoints")


class Requests:
    """Those of one kind. `bytes` are of those that were done, `durations` too."""

    __slots__ = ("bytes", "durations", "errors")

    def __init__(self) -> None:
        self.bytes = 0
        self.errors = 0
        self.durations = Durations(BOUNDS)

    def add(self, others: Requests) -> None:
        self.bytes += others.bytes
        self.errors += others.errors
        self.durations.add(others.durations)

    def row(self) -> dict[str, float]:
        """Plain values, for people and programs."""
        count = self.durations.total
        return {
            "count": count,
            "bytes": self.bytes,
            "errors": self.errors,
            "mean_s": round(self.durations.seconds / count, 6) if count else 0.0,
            "p99_s": round(self.durations.quantile(0.99), 6),
        }


class CountedDisk:
    """Keeps the contract of `Disk`."""

    read_only = False

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.opened = trio.current_time()
        self.requests = {kind: Requests() for kind in KINDS}
        self._reads = self.requests["read"]
        self._writes = self.requests["write"]

    @property
    def size(self) -> int:
        return self._volume.size

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        began, counts = perf_counter(), self._reads
        try:
            pieces = await self._volume.read(offset, length)
        except DrystoneError:
            counts.errors += 1
            raise
        counts.bytes += length
        counts.durations.note(perf_counter() - began)
        return pieces

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        began, counts = perf_counter(), self._writes
        try:
            await self._volume.write(offset, data, durable=durable)
        except DrystoneError:
            counts.errors += 1
            raise
        counts.bytes += len(data)
        counts.durations.note(perf_counter() - began)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        began, counts = perf_counter(), self.requests["zero"]
        try:
            await self._volume.zero(offset, length, keep=keep, durable=durable)
        except DrystoneError:
            counts.errors += 1
            raise
        counts.bytes += length
        counts.durations.note(perf_counter() - began)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        began, counts = perf_counter(), self.requests["discard"]
        try:
            await self._volume.discard(offset, length, durable=durable)
        except DrystoneError:
            counts.errors += 1
            raise
        counts.bytes += length
        counts.durations.note(perf_counter() - began)

    async def flush(self) -> None:
        began, counts = perf_counter(), self.requests["flush"]
        try:
            await self._volume.flush()
        except DrystoneError:
            counts.errors += 1
            raise
        counts.durations.note(perf_counter() - began)

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return await self._volume.extents(offset, length, limit)

    def figures(self) -> Figures:
        return self._volume.figures()


class Tally:
    """What a process has counted: `requests` of volumes that are closed by now, and the bytes that these have `written`
    in each copy, by WRITERS; how many were taken over from it (`lost`), and how many `connections` have a volume, or a
    snapshot, open, or wait for that."""

    def __init__(self) -> None:
        self.requests = {kind: Requests() for kind in KINDS}
        self.written = dict.fromkeys(WRITERS, 0)
        self.lost = 0
        self.connections = 0

    def closed(self, disk: CountedDisk, *, lost: bool) -> None:
        """One is open no more."""
        self.lost += lost
        self.count(disk.requests, written(disk.figures()))

    def count(self, requests: Mapping[str, Requests], written: Mapping[str, int]) -> None:
        """Add these to what was counted."""
        for kind in KINDS:
            self.requests[kind].add(requests[kind])
        for by in WRITERS:
            self.written[by] += written[by]


def written(figures: Figures) -> dict[str, int]:
    """Bytes in each copy: what clients wrote, with all headers of frames; what the cleaner moved; checkpoints."""
    return dict(
        zip(WRITERS, (figures.logged - figures.moved, figures.moved, figures.checkpointed), strict=True),
    )
