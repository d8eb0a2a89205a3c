"""Images become volumes: the same bits, no zeros written, and what goes wrong is told as it is."""

from __future__ import annotations

import random

import pytest

from image_registry.conversion.confinement import Limits
from image_registry.conversion.seal import seal, virtual_size
from image_registry.formats.bounds import Bounds
from image_registry.formats.errors import ImageRefusedError
from store.blocks.disk import OwnerReplacedError
from store.core.errors import DamageError, DrystoneError, FullError, InvalidError, NotFoundError, RetryableError
from tests.image_conversion.stored import Damaged, stored
from tests.image_formats.corpus import DISK_BYTES, GOOD, MIB, changed, created, good, iso, raw_disk, stream_optimized
from tests.image_formats.hostile import HOSTILE, L1_AT, big
from tests.image_formats.inspecting import answer
from tests.image_formats.mutations import mutated, originals
from tests.nbd.memory_disk import PAGE, MemoryDisk, WatchedDisk
from tests.nbd.test_stock_clients import needs

pytestmark = needs("qemu-img")
ALIGNED = -(-(DISK_BYTES + 16 * 63 * 512) // PAGE) * PAGE
BLOCK = 64 * 1024
DATA_BYTES = 5 * 64 * 1024
"""Of `raw_disk`, in whole blocks of 64 KiB."""


def written(disk: WatchedDisk) -> int:
    return sum(int(str(call[2])) for call in disk.calls if call[0] == "write")


@pytest.mark.parametrize("name", GOOD)
async def test_each_format(name: str) -> None:
    said, target, seen = GOOD[name][0], WatchedDisk(ALIGNED), list[float]()
    async with stored(good(name)) as source:
        assert await virtual_size(source, said) == answer_size(good(name), said)
        await seal(source, said, target, seen.append)
    assert bytes(target.content) == raw_disk().ljust(ALIGNED, b"\0")
    assert written(target) <= DATA_BYTES
    assert target.calls[-1] == ("flush",)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def answer_size(content: bytes, said: str) -> int | None:
    verdict = answer(content, said)
    assert not isinstance(verdict, str)
    return verdict.disk_size


async def test_a_disc_and_a_stream_of_a_vmdk() -> None:
    disc = changed(iso(), 100 * 2048, b"data")
    target = MemoryDisk(len(disc))
    async with stored(disc) as source:
        await seal(source, "iso", target)
    assert target.content == disc
    async with stored(stream_optimized()) as source:
        assert await virtual_size(source, "vmdk") == MIB


async def test_raw_of_any_length() -> None:
    content = random.Random(1).randbytes(3 * MIB + 12345)
    target = WatchedDisk(4 * MIB)
    async with stored(content) as source:
        assert await virtual_size(source, "raw") == len(content)
        await seal(source, "raw", target)
    assert bytes(target.content) == content.ljust(4 * MIB, b"\0")
    async with stored(b"") as source:
        await seal(source, "raw", target)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(BLOCK) + b"x", 1),
        (b"x" + bytes(2 * BLOCK), BLOCK),
        (bytes(BLOCK - 1) + b"x" + bytes(BLOCK), BLOCK),
        (bytes(BLOCK) + b"x" * (BLOCK + 1) + bytes(BLOCK), 2 * BLOCK),
        (bytes(MIB - 1) + b"xx", BLOCK + 1),
        (bytes(MIB + 7), 0),
    ],
)
async def test_zeros_are_not_written(content: bytes, expected: int) -> None:
    target = WatchedDisk(2 * MIB)
    async with stored(content) as source:
        await seal(source, "raw", target)
    assert bytes(target.content) == content.ljust(2 * MIB, b"\0")
    assert written(target) == expected


@pytest.mark.parametrize("name", ["raw", "qcow2"])
async def test_a_volume_that_is_too_small(name: str) -> None:
    target = WatchedDisk(DISK_BYTES - PAGE)
    async with stored(good(name)) as source:
        with pytest.raises(InvalidError, match=f"{DISK_BYTES} bytes, and the volume {DISK_BYTES - PAGE}"):
            await seal(source, GOOD[name][0], target)
    assert target.calls == []


@pytest.mark.parametrize("name", ["qcow2 called raw", "qcow2, data file", "vmdk, flat extent", "vhd, differencing"])
async def test_nothing_is_believed_that_was_found_before(name: str) -> None:
    content, said, why = HOSTILE[name]()
    target = WatchedDisk(ALIGNED)
    async with stored(content) as source:
        with pytest.raises(ImageRefusedError, match=why):
            await seal(source, said, target)
        with pytest.raises(ImageRefusedError, match=why):
            await virtual_size(source, said)
    assert target.calls == []


async def test_bounds_hold_here_too() -> None:
    async with stored(good("qcow2")) as source:
        with pytest.raises(ImageRefusedError, match="may have"):
            await seal(source, "qcow2", MemoryDisk(ALIGNED), bounds=Bounds(virtual_size=DISK_BYTES - 1))


@pytest.mark.parametrize("name", ["raw", "qcow2", "vmdk streamOptimized"])
@pytest.mark.parametrize("error", [FullError("no room"), OwnerReplacedError("another has it")])
async def test_what_the_volume_raises_is_told(name: str, error: DrystoneError) -> None:
    target = WatchedDisk(ALIGNED)
    target.failure = error
    async with stored(good(name)) as source:
        with pytest.raises(type(error)) as told:
            await seal(source, GOOD[name][0], target)
    assert told.value is error


@pytest.mark.parametrize("name", ["raw", "qcow2"])
async def test_what_the_image_raises_is_told(name: str) -> None:
    content = good(name)
    async with stored(content) as source:
        damaged = Damaged(source, len(content) - 100)
        target = WatchedDisk(ALIGNED)
        with pytest.raises(DamageError, match="no good copy"):
            await seal(damaged, GOOD[name][0], target)
    assert written(target) < DATA_BYTES


async def test_an_image_that_is_broken_where_the_inspector_does_not_look() -> None:
    table_at = int.from_bytes(good("qcow2")[L1_AT : L1_AT + 8], "big") & ~(1 << 63)
    broken = changed(good("qcow2"), table_at, big(1 << 40 | 512))  # data that begin within a cluster
    assert not isinstance(answer(broken, "qcow2"), str)
    target = WatchedDisk(ALIGNED)
    async with stored(broken) as source:
        with pytest.raises(InvalidError, match="not read as qcow2"):
            await seal(source, "qcow2", target)
    assert written(target) == 0


@pytest.mark.parametrize(
    ("name", "more", "right"),
    [("vdi", 0, True), ("vdi", 512, False), ("vhd", 16 * 255 * 512, True), ("vhd", 16 * 255 * 512 + 512, False)],
)
async def test_qemu_and_the_inspector_agree_on_the_size(
    monkeypatch: pytest.MonkeyPatch, name: str, more: int, right: bool
) -> None:
    size = answer_size(good(name), name)
    assert size is not None
    for by_qemu in (size + more, size - more):
        monkeypatch.setattr("image_registry.conversion.seal.disk_size", lambda _, by_qemu=by_qemu: by_qemu)
        async with stored(good(name)) as source:
            if right:
                assert await virtual_size(source, name) == by_qemu
            else:
                with pytest.raises(InvalidError, match="by QEMU"):
                    await seal(source, name, MemoryDisk(ALIGNED))


async def test_one_that_takes_too_much() -> None:
    async with stored(good("qcow2")) as source:
        with pytest.raises((RetryableError, InvalidError)):
            await seal(source, "qcow2", MemoryDisk(ALIGNED), limits=Limits(memory_bytes=1 << 20))


async def test_without_qemu_img(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    async with stored(good("qcow2")) as source:
        with pytest.raises(NotFoundError, match="apt-get install qemu-utils"):
            await seal(source, "qcow2", MemoryDisk(ALIGNED))
    async with stored(raw_disk()) as source:
        await seal(source, "raw", MemoryDisk(ALIGNED))


async def test_a_large_disk_of_little() -> None:
    async with stored(created("qcow2", "1T")) as source:
        assert await virtual_size(source, "qcow2") == 1 << 40


async def test_mutated_images_do_no_harm() -> None:
    """What is taken becomes a volume or is refused later: in order, and with nothing that is not the image's."""
    made, sealed, seed = originals(), 0, 0
    while sealed < 25:
        content, said = mutated(seed, made)
        seed += 1
        verdict = answer(content, said)
        if isinstance(verdict, str) or said in ("raw", "ami", "ari", "aki") or (verdict.disk_size or 0) > 1 << 30:
            continue
        sealed += 1
        target = MemoryDisk(-(-(verdict.disk_size or 0) // PAGE) * PAGE)
        async with stored(content) as source:
            try:
                await seal(source, said, target)
            except InvalidError:
                continue
