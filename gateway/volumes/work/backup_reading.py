"""What is in a backup, read and checked: its metadata, and its data into a disk."""

from __future__ import annotations

import bz2
import json
import re
import zlib
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Final

import trio

from gateway.volumes.work.backup_blocks import look
from gateway.volumes.work.backup_hashes import Hashes, split, zeros_digest
from gateway.volumes.work.backup_objects import BackupObjects
from gateway.volumes.work.backup_writing import CHUNK, Progress
from store.blocks.disk import Disk
from store.core.errors import InvalidError

STOCK: Final = "1.0.0"
"""The version of metadata that say all that stock cinder needs."""
WITH_ZEROS: Final = "1.0.0-drystone"
"""Of those that have ranges of zeros without data: stock cinder refuses this version, and would leave there what was
there before."""
LENGTH_MAX: Final = 1 << 30
"""Bytes of the data of one object."""
PIECE: Final = 1024 * 1024
_MD5: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A data object: where in the volume its bytes belong."""

    name: str
    offset: int
    length: int
    compression: str
    md5: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What the metadata of a backup say."""

    entries: tuple[Entry, ...]
    zeros: tuple[tuple[int, int], ...]
    volume: dict[str, dict[str, Any]]
    """What is known of the volume, by the kinds that stock cinder has, such as `volume-metadata`."""


async def read_contents(objects: BackupObjects, size: int) -> Contents:
    """Of a backup of so many bytes, all of whose objects are there. Raises InvalidError."""
    wrong = InvalidError("The metadata of the backup cannot be read.")
    try:
        document = json.loads(await objects.read(objects.metadata_name))
        version = document["version"]
        if version not in (STOCK, WITH_ZEROS):
            raise InvalidError(f"No support to restore backup version {str(version)[:32]!a}.")
        entries = tuple(_entry(one) for one in document["objects"])
        zeros = tuple((int(offset), int(length)) for offset, length in document.get("zeros") or ())
        volume = json.loads(document.get("volume_meta") or "{}")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise wrong from error
    ranges = [*((one.offset, one.length) for one in entries), *zeros]
    if any(offset < 0 or length <= 0 or offset + length > size for offset, length in ranges):
        raise InvalidError("The backup has data that lie outside of the volume.")
    others = {objects.metadata_name, objects.hashes_name}
    if sorted(one.name for one in entries) != sorted(set(await objects.names()) - others):
        raise InvalidError("The objects of the backup are not those that its metadata list.")
    kinds = {kind: held for kind, held in volume.items() if isinstance(held, dict)} if isinstance(volume, dict) else {}
    return Contents(entries, zeros, kinds)


def _entry(held: dict[str, dict[str, Any]]) -> Entry:
    ((name, said),) = held.items()
    entry = Entry(name, said["offset"], said["length"], said["compression"], said["md5"])
    sized = type(entry.offset) is int and type(entry.length) is int and entry.length <= LENGTH_MAX
    if not sized or not isinstance(entry.compression, str) or not _MD5.fullmatch(entry.md5):
        raise ValueError(name)
    return entry


async def apply(objects: BackupObjects, contents: Contents, disk: Disk, progress: Progress, *, fresh: bool) -> None:
    """Have on a disk what a backup has stored; `progress` is told of how many objects are done. `fresh`: all of the
    disk is zeros. Raises InvalidError where something is not as it was written."""
    if not fresh:
        for offset, length in contents.zeros:
            await disk.zero(offset, length)
    for done, entry in enumerate(contents.entries, 1):
        body = await objects.read(entry.name, max(entry.length, 4096))
        data = await trio.to_thread.run_sync(_unpacked, entry, body)
        for at in range(0, entry.length, PIECE):
            piece = data[at : at + PIECE]
            if piece.count(0) < len(piece):
                await disk.write(entry.offset + at, piece)
            elif not fresh:
                await disk.zero(entry.offset + at, len(piece))
        await progress(done)


async def verify(disk: Disk, size: int, hashes: Hashes) -> None:
    """Raises InvalidError where a disk is not what the hashes say."""
    block = hashes.block
    step = CHUNK // block * block
    for offset in range(0, size, step):
        length = min(step, size - offset)
        count = -(-length // block)
        looked = await look(disk, offset, length, block, range(count))
        wanted, found = hashes.span(offset // block, count), looked.over(bytearray(zeros_digest(block) * count))
        if found != wanted:
            number = next(at for at, (a, b) in enumerate(zip(split(found), split(wanted), strict=True)) if a != b)
            at = offset + number * block
            raise InvalidError(f"What was restored is not what was backed up: it differs at byte {at}.")


def _unpacked(entry: Entry, body: bytes) -> bytes:
    wrong = InvalidError(f"The object {entry.name} of the backup is damaged.")
    try:
        match entry.compression:
            case "none" | "off" | "no":
                data = body
            case "zlib" | "gzip":
                data = zlib.decompressobj().decompress(body, entry.length + 1)
            case "bz2" | "bzip2":
                data = bz2.BZ2Decompressor().decompress(body, entry.length + 1)
            case _:
                raise InvalidError(f"The backup is compressed by {entry.compression[:16]!a}, which is not supported.")
    except (zlib.error, OSError) as error:
        raise wrong from error
    if len(data) != entry.length or md5(data, usedforsecurity=False).hexdigest() != entry.md5:
        raise wrong
    return data
