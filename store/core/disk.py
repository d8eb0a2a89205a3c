"""The seam to storage: files by name below one folder, and workers to do blocking work in.

All calls block and may raise OSError; whoever calls from the event loop uses only `read_cached` and what is said to be
quick. The simulated twin (`tests/simulation/disk.py`) keeps the same contract and loses what was not synced.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Protocol

from store.core.direct import Buffer, write_all, write_direct
from store.core.worker import ThreadWorker, Worker

_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02
_NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class File(Protocol):
    """One open file. It closes when the last reference goes, so a reader in a thread keeps its file open."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...

    def read_cached(self, offset: int, length: int) -> bytes | bytearray | None:
        """The same without ever waiting for the device; None where that cannot be."""
        ...

    def write(self, offset: int, buffers: Sequence[Buffer], *, cached: bool = True) -> None:
        """All of the buffers, one behind the other. Not durable before `sync`. Without `cached` they need not stay in
        memory: nobody is about to read them; place and length must be multiples of 4,096."""
        ...

    def sync(self) -> None:
        """Make all writes so far durable. After it has raised, what was written is in an unknown state for good:
        the kernel may have thrown the pages away and call them clean (Rebello et al., ATC 2020)."""
        ...

    def allocate(self, length: int) -> None:
        """Reserve space for the first `length` bytes without writing them."""
        ...

    def punch(self, offset: int, length: int) -> None:
        """Give the space of a range back; it reads as zeros."""
        ...

    def size(self) -> int: ...


class Disk(Protocol):
    """A folder of files. Names are relative and may hold one slash."""

    def open(self, name: str, *, create: bool = False) -> File: ...

    def list(self, folder: str) -> list[str]:
        """Names of the files in a folder, in no order; nothing where there is no folder."""
        ...

    def remove(self, name: str) -> None: ...

    def rename(self, old: str, new: str) -> None: ...

    def sync_folder(self, folder: str) -> None:
        """Make creations, removals and renames in a folder durable."""
        ...

    def make_folder(self, folder: str) -> None:
        """Make a folder, durably, where there is none."""
        ...

    def free_bytes(self) -> int:
        """Space left for new data. Quick."""
        ...

    def worker(self, name: str) -> Worker: ...


class SystemFile:
    """A file of the operating system."""

    def __init__(self, path: str, create: bool) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
        self._nowait = True
        self._may_direct = True

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        got = len(data)
        while got < length and (data := os.pread(self._fd, length - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def read_cached(self, offset: int, length: int) -> bytearray | None:
        if not self._nowait:
            return None
        buffer = bytearray(length)
        try:
            got = os.preadv(self._fd, [buffer], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            self._nowait = False
            return None
        return buffer if got == length else None

    def write(self, offset: int, buffers: Sequence[Buffer], *, cached: bool = True) -> None:
        if not cached and self._may_direct:
            self._may_direct = write_direct(self._fd, offset, buffers)  # not on tmpfs, nor on some FUSE
            if self._may_direct:
                return
        write_all(self._fd, offset, buffers)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def allocate(self, length: int) -> None:
        os.posix_fallocate(self._fd, 0, length)

    def punch(self, offset: int, length: int) -> None:
        if _LIBC.fallocate(self._fd, _KEEP_SIZE_PUNCH_HOLE, offset, length) != 0:
            code = ctypes.get_errno()
            if code not in _NOT_SUPPORTED:
                raise OSError(code, os.strerror(code))

    def size(self) -> int:
        return os.fstat(self._fd).st_size


class SystemDisk:
    """A folder of the operating system, locked for as long as this object lives: a device has one owner.

    Raises BlockingIOError where another process has it.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._lock = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def open(self, name: str, *, create: bool = False) -> SystemFile:
        return SystemFile(self._path(name), create)

    def list(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._path(folder))
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        os.unlink(self._path(name))

    def rename(self, old: str, new: str) -> None:
        os.rename(self._path(old), self._path(new))

    def sync_folder(self, folder: str) -> None:
        descriptor = os.open(self._path(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, folder: str) -> None:
        os.makedirs(self._path(folder), mode=0o700, exist_ok=True)
        self.sync_folder(os.path.dirname(folder))

    def free_bytes(self) -> int:
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize

    def worker(self, name: str) -> ThreadWorker:
        return ThreadWorker(f"{os.path.basename(self.root)}-{name}")


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
