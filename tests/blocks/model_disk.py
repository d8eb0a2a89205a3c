"""What a disk is: bytes, and requests that change them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from store.blocks.disk import Disk

PAGE = 4096


class ModelDisk:
    """The bytes of a disk after all requests that were made."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def write(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int) -> None:
        self.data[offset : offset + length] = bytes(length)

    def discard(self, offset: int, length: int) -> None:
        first, stop = -(-offset // PAGE) * PAGE, (offset + length) // PAGE * PAGE
        if stop > first:
            self.zero(first, stop - first)


async def read(disk: Disk, offset: int = 0, length: int | None = None) -> bytes:
    """What a disk has, as one."""
    pieces = await disk.read(offset, disk.size - offset if length is None else length)
    return b"".join(bytes(piece) for piece in pieces)


async def request(disk: Disk, model: ModelDisk, random: Random, *, whole: bool = False) -> None:
    """One random request to both; of `whole` blocks, or of any bytes."""
    unit = PAGE if whole else 1
    offset = random.randrange(disk.size // unit) * unit
    most = disk.size - offset
    length = min(most, random.choice((unit, PAGE, 3 * PAGE + (0 if whole else 17), 40 * PAGE, 300 * PAGE)))
    choice: Callable[[], str] = lambda: random.choice(("write", "write", "write", "zero", "discard", "flush"))  # noqa: E731
    kind, durable = choice(), random.random() < 0.2
    if kind == "write":
        data = random.randbytes(length)
        await disk.write(offset, data, durable=durable)
        model.write(offset, data)
    elif kind == "zero":
        await disk.zero(offset, length, keep=random.random() < 0.5, durable=durable)
        model.zero(offset, length)
    elif kind == "discard":
        await disk.discard(offset, length, durable=durable)
        model.discard(offset, length)
    else:
        await disk.flush()
