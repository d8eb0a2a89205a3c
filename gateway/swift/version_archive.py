"""Versions in a hidden container (`X-Versions-Enabled`), over the store.

A write goes to the hidden container under a name of its own and then moves the pointer: no data are copied, and
whatever fails in between leaves the old version current. Only an object from a time without versions is copied, once,
before the pointer takes its place. The pointer moves by the store's conditions and never back past a later write, so
that any number of gateways may write at once; turns by name spare those of one process the repetition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

import trio

from gateway.swift.errors import RefusedError
from gateway.swift.listing_formats import LISTED_BYTES, LISTED_HASH, LISTED_VERSION
from gateway.swift.name_locks import NameLocks
from gateway.swift.transfer import transfer
from gateway.swift.version_names import (
    ARCHIVED,
    ENABLED,
    MARKER_TYPE,
    MODE,
    NAME_OVERHEAD,
    NULL,
    POINTER,
    POINTER_AT,
    POINTER_ETAG,
    hidden_account,
    hidden_container,
    ticks_of,
    version_id,
    version_name,
)
from gateway.swift.view import VERSION_ID, VERSION_PLACE
from store.core.clock import Clock
from store.core.errors import BusyError, InvalidError, NotFoundError, PreconditionError
from store.core.limits import NAME_BYTES_MAX
from store.objects.interface import ObjectStore
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

ABSENT = Condition(none_match=frozenset({"*"}))
TRIES = 20
"""Repetitions where others write the same object at the same moment."""

_UNKEPT = frozenset({VERSION_ID, VERSION_PLACE})
Writing = Callable[[Container, str, ObjectHead, Condition], Awaitable[ObjectInfo]]


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


def place(container: Container, name: str, named: str) -> str:
    """The path of a version."""
    return quote(f"/v1/{container.account}/{container.name}/{name}") + f"?version-id={named}"


def current(container: Container, row: ObjectInfo, version: ObjectInfo | None) -> ObjectInfo:
    """An object as readers see it: its row, or the version that it points at."""
    if version is None:
        return replace(row, head=replace(row.head, headers={**row.head.headers, VERSION_ID: NULL}))
    named = row.head.headers[POINTER]
    headers = {**version.head.headers, VERSION_ID: named, VERSION_PLACE: place(container, row.name, named)}
    return replace(version, name=row.name, head=replace(version.head, headers=headers, expires_at=row.head.expires_at))


def _pointer(version: ObjectInfo, ticks: int, at: int, expires_at: int | None) -> ObjectHead:
    named = version_id(ticks)
    head = version.head
    listed = {LISTED_BYTES: str(version.size), **head.listing, LISTED_VERSION: named, LISTED_HASH: version.etag}
    notes = {POINTER: named, POINTER_AT: str(at), POINTER_ETAG: version.etag}
    return ObjectHead(head.content_type, notes, listed, expires_at)


class Archive:
    """The versions of objects, and which is the current one."""

    def __init__(self, store: ObjectStore, clock: Clock, locks: NameLocks) -> None:
        self._store = store
        self._clock = clock
        self._locks = locks
        self._last = 0

    def _next(self, row: ObjectInfo | None) -> int:
        """A number later than all given out here, and than whatever is current."""
        floor = self._last
        if row is not None:
            floor = max(floor, int(row.head.headers.get(POINTER_AT, row.created.time_us // 10)))
        self._last = max(self._clock.wall_us() // 10, floor + 1)
        return self._last

    # -- the hidden container ------------------------------------------------------------------------------------

    async def hidden(self, container: Container) -> Container:
        """The container of the versions. NotFoundError while there are none."""
        return await self._store.container(hidden_account(container.account), hidden_container(container))

    async def _made(self, container: Container) -> Container:
        try:
            return await self.hidden(container)
        except NotFoundError:
            pass
        account = hidden_account(container.account)
        await self._store.put_account(container.account, {MODE: ENABLED})
        await self._store.put_account(account, {})
        made, _ = await self._store.put_container(account, hidden_container(container), {}, container.policy)
        return made

    async def row(self, container: Container, name: str, *, expired: bool = False) -> ObjectInfo | None:
        """The object's own row, None where there is none."""
        try:
            return await self._store.head(container, name, expired=expired)
        except NotFoundError:
            return None

    # -- writing -------------------------------------------------------------------------------------------------

    async def place(self, container: Container, name: str) -> tuple[Container, int]:
        """Where a new version goes, and its number."""
        if len(name.encode()) + NAME_OVERHEAD > NAME_BYTES_MAX:
            raise InvalidError(f"a name with versions has at most {NAME_BYTES_MAX - NAME_OVERHEAD} bytes")
        return await self._made(container), self._next(await self.row(container, name))

    async def write(
        self,
        container: Container,
        name: str,
        place: tuple[Container, int],
        head: ObjectHead,
        condition: Condition,
        store_it: Callable[[ObjectHead, Condition], Awaitable[ObjectInfo]],
    ) -> ObjectInfo:
        """Store a new version at its place and make it the current one."""
        hidden, ticks = place
        if condition is not ALWAYS:
            stored_condition(await self.row(container, name), condition)
        version = await store_it(replace(head, expires_at=None), ABSENT)
        try:
            await self.point(container, name, version, ticks, ticks, head.expires_at, condition)
        except (PreconditionError, NotFoundError):  # refused for certain; after other errors it may be current
            with trio.CancelScope(shield=True), suppress(NotFoundError):
                await self._store.delete(hidden, version_name(name, ticks))
            raise
        headers = {**version.head.headers, VERSION_ID: version_id(ticks)}
        return replace(version, name=name, head=replace(version.head, headers=headers))

    async def point(
        self,
        container: Container,
        name: str,
        version: ObjectInfo,
        ticks: int,
        at: int,
        expires_at: int | None,
        condition: Condition = ALWAYS,
    ) -> None:
        """Make a version the current one as of `at`, unless something later is."""
        head = _pointer(version, ticks, at, expires_at)

        def edit(info: ObjectInfo) -> ObjectHead:
            notes = info.head.headers
            if POINTER not in notes:
                raise _ChangedError
            if not condition.holds(notes[POINTER_ETAG]):
                raise PreconditionError("the condition does not hold")
            return head if int(notes[POINTER_AT]) <= at else info.head

        async with self._locks.turn(container, name):
            for _ in range(TRIES):
                row = await self.row(container, name)
                expected = stored_condition(row, condition)
                try:
                    if row is not None and POINTER in row.head.headers:
                        await self._store.update(container, name, edit)
                        return
                    if row is not None:
                        await self._keep_null(container, name)
                        expected = Condition(match=frozenset({row.etag}))
                    else:
                        expected = ABSENT
                    await self._store.put(container, name, b"", head, expected)
                except _ChangedError:
                    continue
                except PreconditionError:
                    stored_condition(await self.row(container, name), condition)
                    continue
                except NotFoundError:
                    await self._store.container(container.account, container.name)  # it is gone, or only the object is
                    continue
                return
        raise BusyError(f"too many write {name!r} at once")

    async def _keep_null(self, container: Container, name: str) -> None:
        """Keep an object from a time without versions as a version."""
        hidden = await self._made(container)
        with suppress(NotFoundError):
            await transfer(
                self._store,
                container,
                name,
                hidden,
                lambda info: (version_name(name, info.created.time_us // 10), replace(info.head, expires_at=None)),
            )

    async def update(
        self, container: Container, row: ObjectInfo, edit: Callable[[ObjectInfo], ObjectHead], condition: Condition
    ) -> ObjectInfo:
        """Change what is said of the current version; when it expires is said of the pointer alone."""
        hidden = await self.hidden(container)
        named = row.head.headers[POINTER]
        ticks = _ticks(named)
        expires_at: int | None = None

        def edit_version(info: ObjectInfo) -> ObjectHead:
            nonlocal expires_at
            head = edit(current(container, row, info))
            expires_at = head.expires_at
            return replace(head, headers=_kept(head.headers), expires_at=None)

        def edit_pointer(info: ObjectInfo) -> ObjectHead:
            if info.head.headers.get(POINTER) != named:
                return info.head
            return _pointer(version, ticks, int(info.head.headers[POINTER_AT]), expires_at)

        if not condition.holds(shown_etag(row)):
            raise PreconditionError("the condition does not hold")
        version = await self._store.update(hidden, version_name(row.name, ticks), edit_version)
        changed = await self._store.update(container, row.name, edit_pointer)
        return current(container, changed, version) if POINTER in changed.head.headers else version

    # -- removing ------------------------------------------------------------------------------------------------

    async def delete(self, container: Container, name: str, condition: Condition) -> ObjectInfo:
        """Note that the object is deleted as of now, and take the pointer away. Nothing else is removed.

        Raises RefusedError (404) where there was no object; that it is deleted is noted all the same.
        """
        hidden = await self._made(container)
        async with self._locks.turn(container, name):
            for _ in range(TRIES):
                row = await self.row(container, name)
                stored_condition(row, condition)
                if row is not None and POINTER not in row.head.headers:
                    await self._keep_null(container, name)
                ticks = self._next(row)
                await self._store.put(hidden, version_name(name, ticks), b"", ObjectHead(MARKER_TYPE), ABSENT)
                named = version_id(ticks)
                if row is None:
                    raise RefusedError(404, headers=[(b"x-object-version-id", named.encode())])
                try:
                    await self._store.delete(container, name, Condition(match=frozenset({row.etag})))
                except PreconditionError:
                    await self._store.delete(hidden, version_name(name, ticks))
                    continue
                return replace(row, head=replace(row.head, headers={VERSION_ID: named}))
        raise BusyError(f"too many write {name!r} at once")

    async def delete_version(self, container: Container, name: str, ticks: int) -> str:
        """Remove a version for good, and the pointer where it is the current one. Returns the current one's id."""
        async with self._locks.turn(container, name):
            row = await self.row(container, name)
            named = NULL if row is None else row.head.headers.get(POINTER, NULL)
            if row is not None and named == version_id(ticks):
                with suppress(NotFoundError):
                    await self._store.delete(container, name, Condition(match=frozenset({row.etag})))
                named = NULL
            await self._store.delete(await self.hidden(container), version_name(name, ticks))
        return named

    async def restore(self, container: Container, name: str, ticks: int) -> ObjectInfo:
        """Make an older version the current one."""
        version = await self._store.head(await self.hidden(container), version_name(name, ticks))
        if version.head.content_type == MARKER_TYPE:
            raise NotFoundError("a version that says the object was deleted")
        at = self._next(await self.row(container, name))
        await self.point(container, name, version, ticks, at, None)
        headers = {**version.head.headers, VERSION_ID: version_id(ticks)}
        return replace(version, name=name, head=replace(version.head, headers=headers))


def _ticks(named: str) -> int:
    ticks = ticks_of(named)
    assert ticks is not None, named
    return ticks


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _UNKEPT}


def is_archived(container: Container) -> bool:
    """Whether the container has, or had, versions in a hidden one."""
    return container.headers.get(MODE) in ARCHIVED
