"""Versions in a hidden container (`X-Versions-Enabled`), over the store.

A write goes to the hidden container under a name of its own and then moves the pointer: no data are copied, and
whatever fails in between leaves the old version current. Only an object from a time without versions is copied, once,
before the pointer takes its place. Turns by name spare the gateways of one process repetitions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

import trio

from gateway.objects.errors import MarkerError
from gateway.objects.large.owned_marks import OWNS
from gateway.objects.lifting import lifted_object
from gateway.objects.notes import VERSION_ID, VERSION_IS_CURRENT
from gateway.objects.versions.name_locks import NameLocks
from gateway.objects.versions.names import (
    ARCHIVED,
    ENABLED,
    MARKER_TYPE,
    MODE,
    NAME_OVERHEAD,
    NULL,
    POINTER,
    POINTER_AT,
    hidden_account,
    hidden_container,
    ticks_of,
    version_id,
    version_name,
)
from gateway.objects.versions.pointer import (
    ABSENT,
    TRIES,
    Pointers,
    current,
    pointer_head,
    shown_etag,
    stored_condition,
)
from store.core.clock import Clock
from store.core.errors import BusyError, InvalidError, NotFoundError, PreconditionError
from store.core.limits import NAME_BYTES_MAX
from store.objects.interface import ObjectStore
from store.objects.model import ALWAYS, Condition, Container, ObjectHead, ObjectInfo

_UNKEPT = frozenset({VERSION_ID, VERSION_IS_CURRENT})


class Archive:
    """The versions of objects, and which is the current one."""

    def __init__(self, store: ObjectStore, clock: Clock, locks: NameLocks, gone: Callable[[str], None]) -> None:
        self._store = store
        self._gone = gone
        self._clock = clock
        self._locks = locks
        self._last = 0
        self.pointers = Pointers(store, self._made)

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

    # -- writing -------------------------------------------------------------------------------------------------

    async def place(self, container: Container, name: str) -> tuple[Container, int]:
        """Where a new version goes, and its number."""
        if len(name.encode()) + NAME_OVERHEAD > NAME_BYTES_MAX:
            raise InvalidError(f"a name with versions has at most {NAME_BYTES_MAX - NAME_OVERHEAD} bytes")
        return await self._made(container), self._next(await self.pointers.row(container, name))

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
            stored_condition(await self.pointers.row(container, name), condition)
        with _alone():
            version = await store_it(replace(head, expires_at=None), ABSENT)
        try:
            async with self._locks.lock(container, name):
                pointer = pointer_head(version, ticks, ticks, head.expires_at)
                await self.pointers.move(container, name, pointer, condition)
        except (PreconditionError, NotFoundError):  # refused for certain; after other errors it may be current
            with trio.CancelScope(shield=True), suppress(NotFoundError):
                await self._store.delete(hidden, version_name(name, ticks))
            raise
        headers = {**version.head.headers, VERSION_ID: version_id(ticks)}
        return replace(version, name=name, head=replace(version.head, headers=headers))

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
            head = edit(current(row, lifted_object(info)))
            expires_at = head.expires_at
            return replace(head, headers=_kept(head.headers), expires_at=None)

        def edit_pointer(info: ObjectInfo) -> ObjectHead:
            if info.head.headers.get(POINTER) != named:
                return info.head
            return pointer_head(version, ticks, int(info.head.headers[POINTER_AT]), expires_at)

        if not condition.holds(shown_etag(row)):
            raise PreconditionError("the condition does not hold")
        version = await self._store.update(hidden, version_name(row.name, ticks), edit_version)
        changed = await self._store.update(container, row.name, edit_pointer)
        return current(changed, version) if POINTER in changed.head.headers else version

    # -- removing ------------------------------------------------------------------------------------------------

    async def delete(self, container: Container, name: str, condition: Condition) -> ObjectInfo:
        """Note that the object is deleted as of now, and take the pointer away. Nothing else is removed.

        The note comes first: whoever points at an older version afterwards sees it. Raises MarkerError where
        there was no object; that it is deleted is noted all the same.
        """
        hidden = await self._made(container)
        async with self._locks.lock(container, name):
            row = await self.pointers.row(container, name)
            stored_condition(row, condition)
            ticks = self._next(row)
            with _alone():
                marker = await self._store.put(hidden, version_name(name, ticks), b"", ObjectHead(MARKER_TYPE), ABSENT)
            taken = await self.pointers.take_before(container, name, ticks)
        named = version_id(ticks)
        if row is None and not taken:
            raise MarkerError(named, made=True)
        return replace(marker, name=name, head=replace(marker.head, headers={VERSION_ID: named}))

    async def delete_version(self, container: Container, name: str, ticks: int) -> str:
        """Remove a version for good, and the pointer where it is the current one. Returns the current one's id."""
        async with self._locks.lock(container, name):
            for _ in range(TRIES):
                row = await self.pointers.row(container, name)
                named = NULL if row is None else row.head.headers.get(POINTER, NULL)
                if row is None or named != version_id(ticks):
                    break
                with suppress(PreconditionError):
                    await self.pointers.take(container, row)
            else:
                raise BusyError(f"too many write {name!r} at once")
            version = await self._store.delete(await self.hidden(container), version_name(name, ticks))
        if OWNS in version.head.headers:
            self._gone(version.head.headers[OWNS])
        return named

    async def restore(self, container: Container, name: str, ticks: int) -> ObjectInfo:
        """Make an older version the current one."""
        version = await self._store.head(await self.hidden(container), version_name(name, ticks))
        if version.head.content_type == MARKER_TYPE:
            raise NotFoundError("a version that says the object was deleted")
        async with self._locks.lock(container, name):
            at = self._next(await self.pointers.row(container, name))
            await self.pointers.move(container, name, pointer_head(version, ticks, at, None))
        headers = {**version.head.headers, VERSION_ID: version_id(ticks)}
        return replace(version, name=name, head=replace(version.head, headers=headers))


@contextmanager
def _alone() -> Iterator[None]:
    """A version's name is nobody else's; where it is, the client's conditions are not to blame."""
    try:
        yield
    except PreconditionError:
        raise BusyError("another gateway has given out the same version") from None


def _ticks(named: str) -> int:
    ticks = ticks_of(named)
    assert ticks is not None, named
    return ticks


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _UNKEPT}


def is_archived(container: Container) -> bool:
    """Whether the container has, or had, versions in a hidden one."""
    return container.headers.get(MODE) in ARCHIVED
