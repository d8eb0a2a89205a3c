"""An object as a disk."""

from __future__ import annotations

import random

import pytest

from image_registry.conversion.object_disk import NotedDisk, ObjectDisk
from store.blocks.disk import Extent, ExtentKind, ReadOnlyError
from store.core.errors import DamageError
from tests.image_conversion.stored import Damaged, stored
from tests.nbd.memory_disk import WatchedDisk

SIZE = 3 * 1024 * 1024 + 100
CONTENT = random.Random(3).randbytes(SIZE)
WHOLE = CONTENT + bytes(412)


async def test_reads_of_any_alignment() -> None:
    async with stored(CONTENT) as source:
        disk = ObjectDisk(source)
        assert disk.size == len(WHOLE)
        assert disk.read_only
        for start, stop in (
            (0, 0),
            (0, 1),
            (5, 3_000_000),
            (SIZE - 1, SIZE + 1),
            (SIZE + 1, SIZE + 412),
            (0, len(WHOLE)),
        ):
            assert b"".join(bytes(each) for each in await disk.read(start, stop - start)) == WHOLE[start:stop]
        for start, length in ((-1, 2), (0, len(WHOLE) + 1), (len(WHOLE), 1)):
            with pytest.raises(IndexError):
                await disk.read(start, length)
        assert await disk.extents(7, 9, 1) == [Extent(9, ExtentKind.DATA)]


async def test_it_cannot_be_written() -> None:
    async with stored(CONTENT) as source:
        disk = ObjectDisk(source)
        for change in (disk.write(0, b"x"), disk.zero(0, 1), disk.discard(0, 1)):
            with pytest.raises(ReadOnlyError):
                await change
        await disk.flush()


async def test_the_first_error_is_noted() -> None:
    async with stored(CONTENT) as source:
        disk = NotedDisk(ObjectDisk(Damaged(source, 10)))
        assert disk.error is None
        assert b"".join(await disk.read(0, 10)) == CONTENT[:10]
        with pytest.raises(DamageError) as first:
            await disk.read(0, 11)
        with pytest.raises(ReadOnlyError):
            await disk.write(0, b"x")
        assert disk.error is first.value


async def test_all_that_a_disk_is_asked_for_is_noted() -> None:
    behind = WatchedDisk(4096)
    behind.failure = DamageError("broken")
    for method, arguments in (
        ("read", (0, 1)),
        ("write", (0, b"x")),
        ("zero", (0, 1)),
        ("discard", (0, 1)),
        ("flush", ()),
        ("extents", (0, 1, 1)),
    ):
        disk = NotedDisk(behind, read_only=True)
        assert disk.read_only
        assert disk.size == 4096
        with pytest.raises(DamageError):
            await getattr(disk, method)(*arguments)
        assert disk.error is behind.failure
