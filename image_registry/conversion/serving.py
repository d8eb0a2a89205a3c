"""Disks at a Unix socket of their own, for one child, as long as it runs."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from gateway.nbd.exports import ExportInfo
from gateway.nbd.server import open_unix_listener, serve
from store.blocks.disk import Disk
from store.core.beside import beside
from store.core.errors import NotFoundError, RetryableError

SOCKET = "nbd"
"""Its name in the folder: the whole path could be too long for one."""


class _Disks:
    def __init__(self, disks: Mapping[str, Disk]) -> None:
        self._disks = disks

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Disk]:
        yield self._named(name)

    async def look(self, name: str) -> ExportInfo:
        disk = self._named(name)
        return ExportInfo(disk.size, disk.read_only)

    async def names(self) -> Sequence[str]:
        return sorted(self._disks)

    def _named(self, name: str) -> Disk:
        if name not in self._disks:
            raise NotFoundError(f"there is no disk {name!r}")
        return self._disks[name]


@asynccontextmanager
async def served(**disks: Disk) -> AsyncIterator[str]:
    """A folder, for its owner alone, with the socket SOCKET in it that serves the disks by NBD, each by its name."""
    try:
        place = tempfile.TemporaryDirectory(prefix="drystone-image-")
    except OSError as error:
        raise RetryableError(f"there is no room for a socket: {error.strerror}") from error
    with place as folder:
        listener = open_unix_listener(f"{folder}/{SOCKET}")
        async with beside(_serve, _Disks(disks), listener):
            yield folder


async def _serve(exports: _Disks, listener: trio.SocketListener) -> None:
    await serve(exports, listener)
