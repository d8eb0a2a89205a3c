"""Segments: the files that records lie in.

A device's `log` folder holds `<id>.log` (rows, group-committed), `<id>.bulk` (data blocks) and `spare-<n>` files. Ids
are 16 hexadecimal digits, grow, and are never used twice, since a recycled file still holds the records of its former
life. Records begin at offset 4,096, behind a header:

    offset  size  field (little-endian)
         0     8  magic "DRYSTSEG"
         8     1  format version (1)
         9     1  kind (1 log, 2 bulk)
        10     2  zero
        12     4  device id
        16     8  segment id
        24     8  XXH3-64 of bytes 0 to 23

Log segments are written ahead with zeros, or recycled, before they are used: a sync that only overwrites blocks does
not wait for the file system's journal, which makes it 2 to 26 times faster. Bulk segments simply grow: there one sync
covers megabytes.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import threading
from collections import OrderedDict
from contextlib import suppress
from enum import IntEnum

from xxhash import xxh3_64_intdigest

from store.core.codec import unknown_version
from store.core.disk import Disk, File
from store.core.errors import DamageError

FOLDER = "log"
LOG_SEGMENT_BYTES = 32 * 1024 * 1024
"""Small enough that a spare one costs a laptop nothing, large enough for seconds of writes."""
BULK_SEGMENT_BYTES = 256 * 1024 * 1024
HEADER_BYTES = 4096
OPEN_FILES_MAX = 128
SPARES_MAX = 2
_ZERO_CHUNK = memoryview(mmap.mmap(-1, 1024 * 1024))
_MAGIC = b"DRYSTSEG"
VERSION = 1
"""A new form of records (store.device.record) makes a new one of these too."""
_HEAD = struct.Struct("<8sBB2xIQ")
_CHECK = struct.Struct("<Q")


class SegmentKind(IntEnum):
    LOG = 1
    BULK = 2


_SUFFIX = {SegmentKind.LOG: ".log", SegmentKind.BULK: ".bulk"}


def _path(segment: int, kind: SegmentKind) -> str:
    return f"{FOLDER}/{segment:016x}{_SUFFIX[kind]}"


def encode_header(kind: SegmentKind, device: int, segment: int) -> bytes:
    head = _HEAD.pack(_MAGIC, VERSION, kind, device, segment)
    return (head + _CHECK.pack(xxh3_64_intdigest(head))).ljust(HEADER_BYTES, b"\0")


def check_header(data: bytes, kind: SegmentKind, device: int, segment: int) -> None:
    """Raises DamageError unless this is the header of that segment."""
    if data != encode_header(kind, device, segment):
        raise DamageError(f"segment {segment:016x} has no valid header")


def refuse_newer(data: bytes, segment: int) -> None:
    """Raises NewerError for the header of a segment that a newer program made: its records may look like damage here.
    That of a header that is damaged, or was never written, nobody knows; its records speak for themselves."""
    if len(data) < _HEAD.size + _CHECK.size or data[:8] != _MAGIC:
        return
    version = data[8]
    if version > VERSION and _CHECK.unpack_from(data, _HEAD.size)[0] == xxh3_64_intdigest(data[: _HEAD.size]):
        raise unknown_version(f"segment {segment:016x}", version, (VERSION,))


class Segments:
    """The files of one device. Creation, removal and zeroing block: they are done in workers."""

    def __init__(self, disk: Disk, device: int, log_bytes: int = LOG_SEGMENT_BYTES) -> None:
        self._disk = disk
        self._device = device
        self.log_bytes = log_bytes
        self._files: OrderedDict[int, File] = OrderedDict()
        self._lock = threading.Lock()
        self.kinds: dict[int, SegmentKind] = {}
        self.next_id = 1
        self.spares: list[str] = []
        spares_before = 0
        for name in disk.list(FOLDER):
            spares_before = max(spares_before, self._learn(name))
        self._spare_numbers = itertools.count(spares_before)  # drawn from in more than one worker

    def _learn(self, name: str) -> int:
        """Take a file that is there into account; returns the first spare's number above it."""
        if name.startswith("spare-"):
            number = int(name.removeprefix("spare-").removesuffix(".new"))
            if name.endswith(".new"):
                self._disk.remove(f"{FOLDER}/{name}")
            else:
                self.spares.append(name)
            return number + 1
        for kind, suffix in _SUFFIX.items():
            if name.endswith(suffix):
                self.kinds[int(name.removesuffix(suffix), 16)] = kind
        return 0

    def path(self, segment: int) -> str:
        return _path(segment, self.kinds[segment])

    def of_kind(self, kind: SegmentKind) -> list[int]:
        """Ids in order."""
        return sorted(segment for segment, its_kind in self.kinds.items() if its_kind is kind)

    def open_file(self, segment: int) -> File | None:
        """The file, if it is open: then nothing has to be asked of the disk."""
        return self._files.get(segment)

    def file(self, segment: int) -> File:
        """The file, opened if need be. Blocks. Raises DamageError where there is no such segment, or the disk does not
        give it."""
        file = self._files.get(segment)
        if file is not None:
            return file
        kind = self.kinds.get(segment)
        if kind is None:
            raise DamageError(f"segment {segment:016x} is gone")
        try:
            file = self._disk.open(_path(segment, kind))
        except FileNotFoundError as error:
            raise DamageError(f"segment {segment:016x} is gone") from error
        except OSError as error:
            raise DamageError(f"segment {segment:016x} cannot be opened: {error}") from error
        return self._keep(segment, file)

    def _keep(self, segment: int, file: File) -> File:
        """Remember an open file, in place of the one that was opened the longest ago. Called in several threads."""
        with self._lock:
            if segment in self.kinds:  # else it was removed meanwhile
                self._files[segment] = file
            while len(self._files) > OPEN_FILES_MAX:
                self._files.popitem(last=False)
        return file

    def added(self, segment: int, kind: SegmentKind, file: File) -> None:
        """A worker has created this segment."""
        self.kinds[segment] = kind
        self._keep(segment, file)

    def forgotten(self, segment: int) -> None:
        """This segment is about to be removed: no new reader may find it."""
        with self._lock:
            del self.kinds[segment]
            self._files.pop(segment, None)

    def take_id(self) -> int:
        """An id that no segment has had."""
        self.next_id += 1
        return self.next_id - 1

    def take_spare(self) -> str | None:
        return self.spares.pop() if self.spares else None

    # -- below: blocking, in a worker ----------------------------------------------------------------------------

    def create(self, kind: SegmentKind, segment: int, spare: str | None) -> File:
        """A new segment with its header written (durable with the first sync of the file). One that could not be made
        leaves nothing: on a full disk each try would take what is left."""
        path = _path(segment, kind)
        if spare is not None:
            self._disk.rename(f"{FOLDER}/{spare}", path)
        try:
            file = self._disk.open(path, create=True)
            if kind is SegmentKind.LOG and spare is None:
                file.allocate(self.log_bytes)
            file.write(0, [encode_header(kind, self._device, segment)])
            self._disk.sync_folder(FOLDER)
        except OSError:
            self._leave_nothing(path)
            raise
        return file

    def _leave_nothing(self, path: str) -> None:
        """Remove what was begun. Where that cannot be done either, the next start finds it."""
        with suppress(OSError):
            self._disk.remove(path)

    def make_spare(self) -> str:
        """A file of zeros, durable. Written around the page cache: a commit that comes meanwhile would have to wait
        until the file system had put all of them out at once."""
        name = f"spare-{next(self._spare_numbers)}"
        path = f"{FOLDER}/{name}"
        try:
            file = self._disk.open(path + ".new", create=True)
            for offset in range(0, self.log_bytes, len(_ZERO_CHUNK)):
                file.write(offset, [_ZERO_CHUNK[: self.log_bytes - offset]], cached=False)
            file.sync()
            self._disk.rename(path + ".new", path)
        except OSError:
            self._leave_nothing(path + ".new")
            raise
        return name

    def remove(self, path: str, *, recycle: bool) -> str | None:
        """Remove a segment's file, or make it a spare and return the spare's name."""
        if recycle:
            name = f"spare-{next(self._spare_numbers)}"
            self._disk.rename(path, f"{FOLDER}/{name}")
            return name
        self._disk.remove(path)
        return None
