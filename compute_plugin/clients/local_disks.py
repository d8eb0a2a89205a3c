"""Disks that are a server's own: volumes of the store that no other service knows, clones wherever they begin as
something.

Every call stands being made twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import trio

from gateway.rest.images import ImageFacts
from store.blocks.interface import VolumeStore
from store.core.errors import ConflictError, InvalidError, NotFoundError

PIECE: Final = 1 << 20
PAGE: Final = 64
"""Disks of a server that are listed at once."""


class LocalDisks:
    """Of all servers."""

    def __init__(self, store: VolumeStore) -> None:
        self._store = store

    async def of_image(self, name: str, image: ImageFacts, size: int) -> None:
        """A disk of so many bytes, or as large as the image for 0, that begins as it: nothing is copied. Raises
        InvalidError where the image is larger."""
        if image.virtual_size > size > 0:
            raise InvalidError(
                f"Flavor's disk is too small for requested image. Flavor disk is {size} bytes, image is "
                f"{image.virtual_size} bytes."
            )
        with suppress(ConflictError):  # made before a death
            await self._store.clone(image.volume, image.snapshot, name, size or None)

    async def empty(self, name: str, size: int) -> None:
        with suppress(ConflictError):
            await self._store.create(name, size, "")

    async def grow(self, name: str, size: int) -> None:
        """To so many bytes; nothing where it has them."""
        if (await self._store.row(name)).size < size:
            await self._store.resize(name, size)

    async def size(self, name: str) -> int:
        """In bytes. Raises NotFoundError."""
        return (await self._store.row(name)).size

    async def delete(self, name: str) -> None:
        """Whoever has it open is cut off. Nothing where it is gone."""
        with suppress(NotFoundError):
            for one in await self._store.snapshots(name):
                await self._store.delete_snapshot(name, one.name)
        with suppress(NotFoundError):
            await self._store.delete(name, force=True)

    async def take_snapshot(self, name: str, snapshot: str) -> None:
        """While it is in use, too."""
        if snapshot not in {one.name for one in await self._store.snapshots(name)}:
            await self._store.snapshot(name, snapshot, take_over=True)

    async def drop_snapshot(self, name: str, snapshot: str) -> None:
        with suppress(NotFoundError):
            await self._store.delete_snapshot(name, snapshot)

    async def drop_snapshots(self, name: str, prefix: str) -> None:
        """All whose names begin so. Nothing where the disk is gone."""
        with suppress(NotFoundError):
            for one in await self._store.snapshots(name):
                if one.name.startswith(prefix):
                    await self._store.delete_snapshot(name, one.name)

    async def of_server(self, server: str) -> list[str]:
        """The names of all disks that are a server's own."""
        prefix, after, found = f"server-{server}-", f"server-{server}-", list[str]()
        while True:
            rows = await self._store.rows(after, PAGE)
            found += [row.name for row in rows if row.name.startswith(prefix)]
            if len(rows) < PAGE or not rows[-1].name.startswith(prefix):
                return found
            after = rows[-1].name

    async def of_snapshot(self, name: str, snapshot: str, new: str) -> None:
        """A disk that begins as a snapshot of another: nothing is copied."""
        with suppress(ConflictError):
            await self._store.clone(name, snapshot, new, None)

    async def write_file(self, name: str, size: int, path: str) -> None:
        """Copy the first bytes of a volume or snapshot to a file, which is there whole or not at all."""
        part = f"{path}.part"
        async with self._store.open(name) as disk, await trio.open_file(part, "wb") as file:
            done = 0
            while done < size:
                length = min(PIECE, size - done)
                for piece in await disk.read(done, length):
                    await file.write(piece)
                done += length
        await trio.Path(part).rename(path)
