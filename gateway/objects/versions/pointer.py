"""Pointers: which version of an object is the current one, moved so that nobody undoes what came later.

All pointers have the same etag. Moving one is therefore a change of its notes, which the store makes in one step; and
one is removed only if it has not changed since it was looked at. So any number of gateways may move the same pointer
at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from gateway.objects.notes import LISTED_BYTES, LISTED_HASH, LISTED_VERSION, VERSION_ID, VERSION_IS_CURRENT
from gateway.objects.transfer import transfer
from gateway.objects.versions.names import (
    MARKER_TYPE,
    NULL,
    POINTER,
    POINTER_AT,
    POINTER_ETAG,
    before_versions,
    parse,
    version_id,
    version_name,
)
from store.core.errors import BusyError, NotFoundError, PreconditionError
from store.objects.interface import ObjectStore
from store.objects.model import ALWAYS, Condition, Container, ListingQuery, ObjectEntry, ObjectHead, ObjectInfo

ABSENT = Condition(none_match=frozenset({"*"}))
TRIES = 20
"""Repetitions where others write the same object at the same moment."""


class _ChangedError(Exception):
    """The object is no longer what it was a moment ago."""


def shown_etag(row: ObjectInfo | None) -> str | None:
    """The etag that clients know an object by."""
    return None if row is None else row.head.headers.get(POINTER_ETAG, row.etag)


def stored_condition(row: ObjectInfo | None, condition: Condition) -> Condition:
    """A client's condition as one of the row. Raises PreconditionError where it does not hold."""
    if condition is ALWAYS:
        return ALWAYS
    if not condition.holds(shown_etag(row)):
        raise PreconditionError("the condition does not hold")
    return ABSENT if row is None else Condition(match=frozenset({row.etag}))


def current(row: ObjectInfo, version: ObjectInfo | None) -> ObjectInfo:
    """An object as readers see it: its row, or the version that it points at."""
    if version is None:
        return replace(row, head=replace(row.head, headers={**row.head.headers, VERSION_ID: NULL}))
    named = row.head.headers[POINTER]
    headers = {**version.head.headers, VERSION_ID: named, VERSION_IS_CURRENT: "True"}
    return replace(version, name=row.name, head=replace(version.head, headers=headers, expires_at=row.head.expires_at))


def pointer_head(version: ObjectInfo, ticks: int, at: int, expires_at: int | None) -> ObjectHead:
    named = version_id(ticks)
    head = version.head
    listed = {LISTED_BYTES: str(version.size), **head.listing, LISTED_VERSION: named, LISTED_HASH: version.etag}
    notes = {POINTER: named, POINTER_AT: str(at), POINTER_ETAG: version.etag}
    return ObjectHead(head.content_type, notes, listed, expires_at)


class Pointers:
    """The objects of containers with versions, as their own container has them. `hidden` finds the other one."""

    def __init__(self, store: ObjectStore, hidden: Callable[[Container], Awaitable[Container]]) -> None:
        self._store = store
        self._hidden = hidden

    async def row(self, container: Container, name: str, *, expired: bool = False) -> ObjectInfo | None:
        """The object's own row, None where there is none."""
        try:
            return await self._store.head(container, name, expired=expired)
        except NotFoundError:
            return None

    async def move(self, container: Container, name: str, head: ObjectHead, condition: Condition = ALWAYS) -> None:
        """Have the pointer be this one, unless it or a deletion is later. Raises PreconditionError."""
        at = int(head.headers[POINTER_AT])

        def edit(info: ObjectInfo) -> ObjectHead:
            notes = info.head.headers
            if POINTER not in notes:
                raise _ChangedError
            if not condition.holds(notes[POINTER_ETAG]):
                raise PreconditionError("the condition does not hold")
            return head if int(notes[POINTER_AT]) <= at else info.head

        for _ in range(TRIES):
            row = await self.row(container, name)
            stored_condition(row, condition)
            try:
                if row is not None and POINTER in row.head.headers:
                    await self._store.update(container, name, edit)
                    return
                if row is not None:
                    await self.keep_null(container, name)
                    await self._store.put(container, name, b"", head, Condition(unchanged=row.changed))
                    return
                await self._store.put(container, name, b"", head, ABSENT)
            except _ChangedError:
                continue
            except PreconditionError:
                stored_condition(await self.row(container, name), condition)
                continue
            except NotFoundError:
                await self._store.container(container.account, container.name)  # it is gone, or only the object is
                continue
            deleted = await self._deleted_since(container, name, at)
            if deleted:
                await self.take_before(container, name, deleted)
            return
        raise BusyError(f"too many write {name!r} at once")

    async def _deleted_since(self, container: Container, name: str, at: int) -> int:
        """When the object was last deleted, where that is later than `at`; else 0."""
        query = ListingQuery(limit=TRIES, prefix=before_versions(name), end_marker=version_name(name, at))
        for entry in await self._store.list_objects(await self._hidden(container), query):
            if isinstance(entry, ObjectEntry) and entry.content_type == MARKER_TYPE:
                return parse(entry.name)[1]
        return 0

    async def keep_null(self, container: Container, name: str) -> None:
        """Keep an object from a time without versions as a version."""
        hidden = await self._hidden(container)
        with suppress(NotFoundError):
            await transfer(
                self._store,
                container,
                name,
                hidden,
                lambda info: (version_name(name, info.created.time_us // 10), replace(info.head, expires_at=None)),
            )

    async def take_before(self, container: Container, name: str, ticks: int) -> bool:
        """Take away whatever became the current version before `ticks`; whether there was any."""
        for _ in range(TRIES):
            row = await self.row(container, name)
            if row is None:
                return False
            if POINTER not in row.head.headers:
                await self.keep_null(container, name)
            elif int(row.head.headers[POINTER_AT]) >= ticks:
                return False
            try:
                await self.take(container, row)
            except PreconditionError:
                continue
            return True
        raise BusyError(f"too many write {name!r} at once")

    async def take(self, container: Container, row: ObjectInfo) -> None:
        """Remove a pointer, or the last object from a time without versions, if it is the one that was looked at.
        Raises PreconditionError."""
        with suppress(NotFoundError):
            await self._store.delete(container, row.name, Condition(unchanged=row.changed))
