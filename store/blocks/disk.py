"""`Disk`: a volume as whoever serves it to a guest sees it.

Offsets and lengths are bytes, of any alignment: what is no multiple of 4 KiB costs a read first. Requests may be made
at the same time; those that overlap take effect in some order, each as a whole page of 4 KiB at least. Every request
lies within `size`: IndexError where it does not.

A write that was answered is read by everything that is asked for later. It lasts when a `flush` that was asked for
after its answer is answered, or at once where it is `durable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from store.core.errors import DrystoneError
from store.device.record import Buffer


class ReadOnlyError(DrystoneError):
    """The disk cannot be written: it is a snapshot, or was opened to be read."""


class OwnerReplacedError(DrystoneError):
    """Somebody else has opened the volume since, and is its writer now. Nothing that was not answered counts; this
    disk is of no use any more."""


class ExtentKind(Enum):
    DATA = "data"
    ZERO = "zero"
    """Zeros that were written, or set: no data is stored."""
    HOLE = "hole"
    """Never written, or discarded: it reads as zeros."""


class Extent(NamedTuple):
    """What `length` bytes of a disk are."""

    length: int
    kind: ExtentKind


class Disk(Protocol):
    """A disk. All that is awaited raises DrystoneErrors: FullError where there is no room, OwnerReplacedError,
    ReadOnlyError, DamageError where what is stored cannot be read, others where too few devices answer."""

    @property
    def size(self) -> int:
        """In bytes. It may grow."""
        ...

    @property
    def read_only(self) -> bool: ...

    async def read(self, offset: int, length: int) -> Sequence[Buffer]:
        """The bytes, in pieces, verified."""
        ...

    async def write(self, offset: int, data: Buffer, *, durable: bool = False) -> None:
        """The data may be changed by whoever called once this has returned, not before."""
        ...

    async def zero(self, offset: int, length: int, *, keep: bool = False, durable: bool = False) -> None:
        """Have zeros there, without writing any data. `keep`: writing there later finds room as if there were."""
        ...

    async def discard(self, offset: int, length: int, *, durable: bool = False) -> None:
        """What is there is not needed any more: whole pages of 4 KiB of it read as zeros afterwards, the rest stays as
        it is."""
        ...

    async def flush(self) -> None:
        """Whatever was answered before lasts when this returns."""
        ...

    async def extents(self, offset: int, length: int, limit: int) -> list[Extent]:
        """What is where, from `offset` on, one beside another: up to `limit` of them, which may be less than what was
        asked for."""
        ...
