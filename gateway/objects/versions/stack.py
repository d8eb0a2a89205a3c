"""Versions in a container that the client chose, in plain sight.

The object itself stays where it is; what it was before a write is copied first, and only that very state is written
over. A DELETE brings the state before back (stack), or is itself noted as a version (history).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from gateway.objects.errors import VersionsLocationError
from gateway.objects.notes import VERSIONS_LOCATION
from gateway.objects.transfer import transfer
from gateway.objects.versions.name_locks import NameLocks
from gateway.objects.versions.names import HISTORY, MARKER_TYPE, MODE, archived_prefix, version_id
from gateway.objects.versions.pointer import ABSENT, TRIES, Pointers
from store.core.clock import Clock
from store.core.errors import BusyError, NotFoundError, PreconditionError
from store.objects.interface import ObjectStore
from store.objects.model import Condition, Container, ListingQuery, ObjectEntry, ObjectHead, ObjectInfo

_PAGE = 100


class Stack:
    """The versions of objects, in plain sight."""

    def __init__(self, store: ObjectStore, clock: Clock, locks: NameLocks, pointers: Pointers) -> None:
        self._store = store
        self._clock = clock
        self._locks = locks
        self._row = pointers.row

    async def _location(self, container: Container) -> Container:
        """The container of the versions. Raises VersionsLocationError where it is not there."""
        location = container.headers[VERSIONS_LOCATION]
        try:
            return await self._store.container(container.account, location)
        except NotFoundError:
            raise VersionsLocationError(location) from None

    async def write(
        self,
        container: Container,
        name: str,
        condition: Condition,
        store_it: Callable[[Condition], Awaitable[ObjectInfo]],
    ) -> ObjectInfo:
        """Keep what is there, then write over it."""
        async with self._locks.lock(container, name):
            for _ in range(TRIES):
                row = await self._row(container, name)
                if not condition.holds(None if row is None else row.etag):
                    raise PreconditionError("the condition does not hold")
                try:
                    return await store_it(await self._kept(container, row))
                except PreconditionError:
                    continue
        raise BusyError(f"too many write {name!r} at once")

    async def _kept(self, container: Container, row: ObjectInfo | None) -> Condition:
        """Copy what is there, and state that it is what may be written over."""
        if row is None:
            return ABSENT
        name = row.name
        try:
            copied = await transfer(
                self._store,
                container,
                name,
                await self._location(container),
                lambda info: (archived_prefix(name) + version_id(info.changed.time_us // 10), info.head),
            )
        except NotFoundError:
            return ABSENT
        return Condition(unchanged=copied.changed)

    async def delete(self, container: Container, name: str, condition: Condition) -> ObjectInfo:
        """Remove the object, or what stands in its place."""
        history = container.headers.get(MODE) == HISTORY
        async with self._locks.lock(container, name):
            for _ in range(TRIES):
                row = await self._row(container, name)
                if not condition.holds(None if row is None else row.etag):
                    raise PreconditionError("the condition does not hold")
                try:
                    return await (self._push if history else self._pop)(container, name, row)
                except PreconditionError:
                    continue
        raise BusyError(f"too many write {name!r} at once")

    async def _push(self, container: Container, name: str, row: ObjectInfo | None) -> ObjectInfo:
        kept = await self._kept(container, row)
        marker = archived_prefix(name) + version_id(self._clock.wall_us() // 10)
        await self._store.put(await self._location(container), marker, b"", ObjectHead(MARKER_TYPE))
        if row is None:
            raise NotFoundError(f"there is no object {name!r}")
        return await self._store.delete(container, name, kept)

    async def _pop(self, container: Container, name: str, row: ObjectInfo | None) -> ObjectInfo:
        present = ABSENT if row is None else Condition(unchanged=row.changed)
        try:
            location = await self._location(container)
        except VersionsLocationError:
            return await self._store.delete(container, name, present)
        marker: ObjectEntry | None = None
        async with aclosing(self._newest_first(location, name)) as entries:
            async for entry in entries:
                if entry.content_type != MARKER_TYPE:
                    try:
                        restored = await self._restore(location, entry, container, name, present)
                    except NotFoundError:
                        continue  # removed meanwhile: the one before it, then
                    if marker is not None:
                        await self._store.delete(location, marker.name)
                    return restored
                if row is not None:
                    return await self._store.delete(container, name, present)
                if marker is not None:
                    break
                marker = entry
        if marker is not None:
            return await self._store.delete(location, marker.name)
        return await self._store.delete(container, name, present)

    async def _restore(
        self, location: Container, entry: ObjectEntry, container: Container, name: str, present: Condition
    ) -> ObjectInfo:
        restored = await transfer(self._store, location, entry.name, container, lambda info: (name, info.head), present)
        await self._store.delete(location, entry.name)
        return restored

    async def _newest_first(self, location: Container, name: str) -> AsyncGenerator[ObjectEntry, None]:
        prefix, marker = archived_prefix(name), ""
        while True:
            page = await self._store.list_objects(
                location, ListingQuery(limit=_PAGE, prefix=prefix, marker=marker, reverse=True)
            )
            for entry in page:
                if isinstance(entry, ObjectEntry):
                    yield entry
            if len(page) < _PAGE:
                return
            marker = page[-1].name
