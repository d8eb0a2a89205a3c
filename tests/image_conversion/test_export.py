"""Volumes become images, which are images for everybody else, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_registry.conversion.export import FORMATS, export
from image_registry.conversion.seal import seal
from store.core.errors import DamageError, FullError, InvalidError, RetryableError
from store.objects.interface import Buffer
from tests.image_conversion.stored import stored
from tests.image_formats import oracle
from tests.image_formats.corpus import DISK_BYTES, MIB, raw_disk
from tests.image_formats.inspecting import streamed
from tests.nbd.memory_disk import MemoryDisk, WatchedDisk
from tests.nbd.test_stock_clients import needs

pytestmark = needs("qemu-img")


class Sink:
    def __init__(self) -> None:
        self.data = bytearray()
        self.largest = 0

    async def take(self, piece: Buffer) -> None:
        self.data += piece
        self.largest = max(self.largest, len(piece))


async def volume(kind: type[WatchedDisk] = WatchedDisk) -> WatchedDisk:
    disk = kind(DISK_BYTES)
    async with stored(raw_disk()) as source:
        await seal(source, "raw", disk)
    disk.calls.clear()
    return disk


@pytest.mark.parametrize("format_", FORMATS)
async def test_there_and_back(format_: str, tmp_path: Path) -> None:
    disk, sink, seen = await volume(), Sink(), list[float]()
    await export(disk, format_, sink.take, folder=str(tmp_path), progress=seen.append)
    content = bytes(sink.data)
    assert streamed(content, format_).disk_size == DISK_BYTES
    assert oracle.accepts(content, format_)
    back = MemoryDisk(DISK_BYTES)
    async with stored(content) as source:
        await seal(source, format_, back)
    assert back.content == raw_disk()
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert sink.largest <= MIB
    assert not {call[0] for call in disk.calls} & {"write", "zero", "discard"}
    assert os.listdir(tmp_path) == []


async def test_zeros_are_not_read() -> None:
    disk, sink = await volume(), Sink()
    await export(disk, "raw", sink.take, folder="/nowhere")
    assert sink.data == raw_disk()
    assert sum(int(str(call[2])) for call in disk.calls if call[0] == "read") < 6 * 64 * 1024


async def test_an_empty_volume(tmp_path: Path) -> None:
    sink = Sink()
    await export(MemoryDisk(0), "raw", sink.take, folder=str(tmp_path))
    assert sink.data == b""


async def test_a_file_that_would_be_too_large(tmp_path: Path) -> None:
    sink = Sink()
    with pytest.raises(FullError, match="more than the 262144 bytes"):
        await export(await volume(), "qcow2", sink.take, folder=str(tmp_path), file_bytes=256 * 1024)
    assert sink.data == b""
    assert os.listdir(tmp_path) == []


async def test_formats_that_are_not_made(tmp_path: Path) -> None:
    for format_ in ("iso", "ami", "qed", "", "vpc"):
        with pytest.raises(InvalidError, match="no image of the format"):
            await export(await volume(), format_, Sink().take, folder=str(tmp_path))


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="no file can be made"):
        await export(await volume(), "qcow2", Sink().take, folder=str(tmp_path / "none"))


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
async def test_what_the_volume_raises_is_told(format_: str, tmp_path: Path) -> None:
    disk = await volume()
    disk.failure = DamageError("no good copy")
    with pytest.raises(DamageError, match="no good copy"):
        await export(disk, format_, Sink().take, folder=str(tmp_path))


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
async def test_what_the_sink_raises_is_told(format_: str, tmp_path: Path) -> None:
    async def take(_: Buffer) -> None:
        raise FullError("no room")

    with pytest.raises(FullError, match="no room"):
        await export(await volume(), format_, take, folder=str(tmp_path))
    assert os.listdir(tmp_path) == []
