"""A disk whose clients may do so much in a second: quality of service, kept where the disk is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from gateway.nbd.transmission import Buffer
from store.blocks.disk import Disk, Extent


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and `burst` at once after a time of rest."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Of reads, of writes (whatever changes the disk), and of both; None for none. `bytes` are those asked for."""

    read_bytes: Rate | None = None
    write_bytes: Rate | None = None
    total_bytes: Rate | None = None
    read_requests: Rate | None = None
    write_requests: Rate | None = None
    total_requests: Rate | None = None


class Gate:
    """Lets pass what a rate allows, in the order of asking (the generic cell rate algorithm, ITU-T I.371)."""

    def __init__(self, rate: Rate) -> None:
        self._second = 1 / rate.per_second
        self._patience = rate.burst / rate.per_second
        self._due = 0.0
        """When all that has passed would have, had there been no bursts."""

    def reserve(self, count: float) -> float:
        """Takes its place: in how many seconds it may pass."""
        now = trio.current_time()
        self._due = max(self._due, now) + count * self._second
        return max(self._due - self._patience - now, 0.0)


class Gates:
    """Of one disk, for all its clients together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        total = [*_gates(limits.total_bytes, limits.total_requests)]
        self._reads = [*_gates(limits.read_bytes, limits.read_requests), *total]
        self._writes = [*_gates(limits.write_bytes, limits.write_requests), *total]

    async def read(self, length: int) -> None:
        await _pass(self._reads, length)

    async def write(self, length: int) -> None:
        await _pass(self._writes, length)


class LimitedDisk:
    """Keeps the contract of `Disk`. Flushes wait for nothing: what they are for has passed."""

    def __init__(self, disk: Disk, gates: Gates) -> None:
        self._disk = disk
        self._gates = gates

    @property
    def size(self) -> int:
        return self._disk.size

    @property
    def read_only(self) -> bool:
        return self._disk.read_only

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        await self._gates.read(length)
        return await self._disk.read(offset, length)

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        await self._gates.write(len(data))
        await self._disk.write(offset, data, durable=durable)

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        await self._gates.write(0)  # no bytes are moved, however many become zeros
        await self._disk.zero(offset, length, keep=keep, durable=durable)

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        await self._gates.write(0)
        await self._disk.discard(offset, length, durable=durable)

    async def flush(self) -> None:
        await self._disk.flush()

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        return await self._disk.extents(offset, length, limit)


def _gates(of_bytes: Rate | None, of_requests: Rate | None) -> list[tuple[Gate, bool]]:
    """Each with whether it counts bytes, and not requests."""
    both = ((of_bytes, True), (of_requests, False))
    return [(Gate(rate), counts_bytes) for rate, counts_bytes in both if rate is not None]


async def _pass(gates: Sequence[tuple[Gate, bool]], length: int) -> None:
    wait = max((gate.reserve(length if counts_bytes else 1) for gate, counts_bytes in gates), default=0.0)
    if wait > 0:
        await trio.sleep(wait)
