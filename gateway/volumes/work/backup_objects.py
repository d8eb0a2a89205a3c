"""The objects of one backup, named as stock cinder's Swift driver names them.

    <prefix>-00001 ...      data
    <prefix>_sha256file     the SHA-256 of each block of the volume, as it is in this backup
    <prefix>_metadata       which object is what; written last, so what has none is no backup

The prefix has the backup's id, and is in its record before anything is written: so whatever a death leaves is found.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from hashlib import md5
from typing import Final

from store.core.errors import DamageError, InvalidError, NotFoundError
from store.objects.interface import Buffer, ObjectStore
from store.objects.model import Container, ListingQuery, ObjectHead

PAGE: Final = 1000
DOCUMENT_MAX: Final = 256 * 1024 * 1024
"""Bytes of a metadata object that is read."""


class BackupObjects:
    """Of one backup."""

    def __init__(self, store: ObjectStore, account: str, container: str, prefix: str) -> None:
        self._store = store
        self._account = account
        self._container = container
        self.prefix = prefix
        self._known: Container | None = None

    def data_name(self, number: int) -> str:
        """Of the data object with a number, from 1."""
        return f"{self.prefix}-{number:05d}"

    @property
    def metadata_name(self) -> str:
        return f"{self.prefix}_metadata"

    @property
    def hashes_name(self) -> str:
        return f"{self.prefix}_sha256file"

    async def make_container(self) -> None:
        """Have the account and the container, if they are missing. Raises InvalidError for what can be no name."""
        with suppress(NotFoundError):
            await self._there()
            return
        await self._store.put_account(self._account, {})
        self._known, _ = await self._store.put_container(self._account, self._container, {})

    async def put(self, name: str, pieces: Iterable[Buffer]) -> None:
        """An object, durably, in the place of one that was begun before a death."""
        digest = md5(usedforsecurity=False)
        async with self._store.upload(await self._there(), name) as upload:
            for piece in pieces:
                digest.update(piece)
                await upload.write(piece)
            _, etag = await upload.digest()
            if etag != digest.hexdigest():
                raise DamageError(f"object {name} did not arrive as it was sent")
            await upload.commit(ObjectHead("application/octet-stream"))

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[AsyncGenerator[Buffer, None]]:
        """The pieces of an object. Raises InvalidError where it is not there."""
        try:
            async with (
                self._store.open(await self._there(), name) as opened,
                aclosing(opened.read()) as pieces,
            ):
                yield pieces
        except NotFoundError as error:
            raise InvalidError(f"The object {name} of the backup is missing.") from error

    async def read(self, name: str, most: int = DOCUMENT_MAX) -> bytes:
        """A whole object of so many bytes at most. Raises InvalidError."""
        read = bytearray()
        async with self.reading(name) as pieces:
            async for piece in pieces:
                read += piece
                if len(read) > most:
                    raise InvalidError(f"The object {name} of the backup is larger than it can be.")
        return bytes(read)

    async def names(self) -> list[str]:
        """Those that are there, of this backup alone."""
        try:
            container = await self._there()
        except NotFoundError:
            return []
        ours = re.compile(re.escape(self.prefix) + "(-[0-9]{5,}|_metadata|_sha256file)")
        found: list[str] = []
        marker = ""
        while page := await self._store.list_names(container, ListingQuery(PAGE, prefix=self.prefix, marker=marker)):
            found += [name for name in page if ours.fullmatch(name)]
            marker = page[-1]
        return found

    async def delete(self) -> None:
        """All of them: what says that there is a backup first."""
        names = await self.names()
        for name in sorted(names, key=lambda one: one != self.metadata_name):
            with suppress(NotFoundError):
                await self._store.delete(await self._there(), name)

    async def _there(self) -> Container:
        if self._known is None:
            self._known = await self._store.container(self._account, self._container)
        return self._known
