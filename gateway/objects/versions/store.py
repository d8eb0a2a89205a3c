"""The store as the features above it see it: containers that keep versions do so beneath them, and what was kept under
older names is lifted.

Features read and write objects and know nothing of versions. A container without them costs one look into its headers.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from gateway.objects.errors import VersionsRemainError
from gateway.objects.large.owned_marks import OWNING, OWNS
from gateway.objects.lifting import (
    account_changes,
    container_changes,
    lifted_account,
    lifted_container,
    lifted_object,
)
from gateway.objects.slices import SLICE, sliced
from gateway.objects.versions.archive import Archive, is_archived
from gateway.objects.versions.name_locks import NameLocks
from gateway.objects.versions.names import (
    ENABLED,
    MODE,
    POINTER,
    SUSPENDED,
    behind_versions,
    hidden_account,
    ticks_of,
    version_name,
)
from gateway.objects.versions.pointer import current, stored_condition
from gateway.objects.versions.shapes import Lifting, Shown, SteppedUpload, shown_entry, version_shown, with_bytes
from gateway.objects.versions.stack import Stack
from store.core.clock import Clock
from store.core.errors import ConflictError, DigestError, NotFoundError
from store.core.limits import LISTING_ROWS_MAX
from store.objects.interface import Buffer, HeaderChanges, ObjectStore, OpenObject, Upload
from store.objects.model import (
    ALWAYS,
    Account,
    Condition,
    Container,
    ContainerEntry,
    ListingQuery,
    ObjectEntry,
    ObjectHead,
    ObjectInfo,
    Policy,
    Subdir,
    Usage,
)


class VersionedStore:
    """An `ObjectStore` over another, and what is asked of versions besides. `gone` is told the token of a manifest that
    owned its segments and is no more."""

    def __init__(self, store: ObjectStore, clock: Clock, gone: Callable[[str], None]) -> None:
        self._store = store
        self._gone = gone
        locks = NameLocks()
        self.archive = Archive(store, clock, locks, gone)
        self._stack = Stack(store, clock, locks, self.archive.pointers)

    @property
    def policies(self) -> Sequence[Policy]:
        return self._store.policies

    # -- accounts ------------------------------------------------------------------------------------------------

    def known_account(self, name: str) -> Account | None:
        known = self._store.known_account(name)
        return None if known is None else lifted_account(known)

    async def account(self, name: str) -> Account:
        return lifted_account(await self._store.account(name))

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        return await self._store.put_account(name, account_changes(headers))

    async def delete_account(self, name: str) -> None:
        account = await self._store.account(name)
        await self._store.delete_account(name)
        if MODE in account.headers:
            with suppress(NotFoundError, ConflictError):
                await self._store.delete_account(hidden_account(name))

    async def account_usage(self, account: Account) -> Usage:
        """Versions count in bytes, which somebody pays for, and not as objects or containers."""
        usage = await self._store.account_usage(account)
        if MODE not in account.headers:
            return usage
        try:
            hidden = await self._store.account_usage(await self._store.account(hidden_account(account.name)))
        except NotFoundError:
            return usage
        return with_bytes(usage, hidden)

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]:
        entries = await self._store.list_containers(account, query)
        if not entries or MODE not in account.headers:
            return entries
        names = [entry.name for entry in entries]
        sizes = await self._hidden_sizes(account, min(names), max(names))
        return [
            entry
            if isinstance(entry, Subdir) or entry.name not in sizes
            else replace(entry, usage=with_bytes(entry.usage, sizes[entry.name]))
            for entry in entries
        ]

    async def _hidden_sizes(self, account: Account, first: str, last: str) -> dict[str, Usage]:
        sizes: dict[str, Usage] = {}
        try:
            hidden = await self._store.account(hidden_account(account.name))
        except NotFoundError:
            return sizes
        query = ListingQuery(limit=LISTING_ROWS_MAX, marker=first, end_marker=behind_versions(last) + "g")
        while True:
            page = await self._store.list_containers(hidden, query)
            for entry in page:
                if isinstance(entry, ContainerEntry):
                    sizes[entry.name.partition("\0")[0]] = entry.usage
            if len(page) < query.limit:
                return sizes
            query = replace(query, marker=page[-1].name)

    # -- containers ----------------------------------------------------------------------------------------------

    def known_container(self, account: str, name: str) -> Container | None:
        known = self._store.known_container(account, name)
        return None if known is None else lifted_container(known)

    async def container(self, account: str, name: str) -> Container:
        return lifted_container(await self._store.container(account, name))

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None = None
    ) -> tuple[Container, bool]:
        return await self._store.put_container(account, name, container_changes(headers), policy)

    async def delete_container(self, account: str, name: str) -> None:
        container = await self._store.container(account, name)
        if not is_archived(container):
            await self._store.delete_container(account, name)
            return
        hidden = None
        with suppress(NotFoundError):
            hidden = await self.archive.hidden(container)
            if (await self._store.container_usage(hidden)).objects:
                raise VersionsRemainError(f"container {name!r} holds versions")
        await self._store.delete_container(account, name)
        if hidden is not None:
            with suppress(NotFoundError, ConflictError):  # a write that came in between takes back what it left
                await self._store.delete_container(hidden.account, hidden.name)

    async def container_usage(self, container: Container) -> Usage:
        usage = await self._store.container_usage(container)
        if MODE not in container.headers or not is_archived(container):
            return usage
        try:
            return with_bytes(usage, await self._store.container_usage(await self.archive.hidden(container)))
        except NotFoundError:
            return usage

    async def list_objects(self, container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        entries = await self._store.list_objects(container, query)
        if MODE not in container.headers:
            return entries
        shown: list[ObjectEntry | Subdir] = []
        async for some in sliced(entries, SLICE):
            shown += [shown_entry(entry) for entry in some]
        return shown

    async def list_names(self, container: Container, query: ListingQuery) -> list[str]:
        return await self._store.list_names(container, query)

    # -- objects -------------------------------------------------------------------------------------------------

    async def head(self, container: Container, name: str, *, expired: bool = False) -> ObjectInfo:
        row = lifted_object(await self._store.head(container, name, expired=expired))
        if MODE not in container.headers or not is_archived(container):
            return row
        named = row.head.headers.get(POINTER)
        if named is None:
            return current(row, None)
        hidden = await self.archive.hidden(container)
        return current(row, lifted_object(await self._store.head(hidden, version_name(name, ticks_of(named) or 0))))

    def open(
        self, container: Container, name: str, *, expired: bool = False
    ) -> AbstractAsyncContextManager[OpenObject]:
        if MODE not in container.headers or not is_archived(container):
            return Lifting(self._store.open(container, name, expired=expired))
        return self._open(container, name, expired)

    @asynccontextmanager
    async def _open(self, container: Container, name: str, expired: bool) -> AsyncIterator[OpenObject]:
        async with self._store.open(container, name, expired=expired) as opened:
            row = opened.info
            named = row.head.headers.get(POINTER)
            if named is None:
                yield Shown(opened, current(lifted_object(row), None))
                return
        hidden = await self.archive.hidden(container)
        async with self._store.open(hidden, version_name(name, ticks_of(named) or 0)) as opened:
            yield Shown(opened, current(row, lifted_object(opened.info)))

    async def put(
        self,
        container: Container,
        name: str,
        data: Buffer,
        head: ObjectHead,
        condition: Condition = ALWAYS,
        digest: str = "",
    ) -> ObjectInfo:
        if OWNING in container.headers:
            write = partial(self._put, container, name, data, head, condition, digest)
            return await self._over(container, name, write)
        return await self._put(container, name, data, head, condition, digest)

    async def _put(
        self, container: Container, name: str, data: Buffer, head: ObjectHead, condition: Condition, digest: str
    ) -> ObjectInfo:
        mode = container.headers.get(MODE)
        if mode is None:
            return await self._store.put(container, name, data, head, condition, digest)
        if digest and digest != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise DigestError("the body is not what was announced")  # before a version is kept for it
        if mode == ENABLED:
            at = await self.archive.place(container, name)
            return await self.archive.write(
                container,
                name,
                at,
                head,
                condition,
                lambda said, absent: self._store.put(at[0], version_name(name, at[1]), data, said, absent, digest),
            )
        if mode == SUSPENDED:
            stored = await self._stored(container, name, condition)
            return await self._store.put(container, name, data, head, stored, digest)
        return await self._stack.write(
            container, name, condition, lambda kept: self._store.put(container, name, data, head, kept, digest)
        )

    def upload(self, container: Container, name: str, size: int | None = None) -> AbstractAsyncContextManager[Upload]:
        if OWNING in container.headers:
            return self._upload_over(container, name, size)
        if MODE not in container.headers:
            return self._store.upload(container, name, size)
        return self._upload(container, name, size)

    @asynccontextmanager
    async def _upload_over(self, container: Container, name: str, size: int | None) -> AsyncIterator[Upload]:
        begun = self._upload if MODE in container.headers else self._store.upload
        async with begun(container, name, size) as upload:

            async def commit(head: ObjectHead, condition: Condition) -> ObjectInfo:
                return await self._over(container, name, lambda: upload.commit(head, condition))

            yield SteppedUpload(upload, commit)

    async def _over(self, container: Container, name: str, write: Callable[[], Awaitable[ObjectInfo]]) -> ObjectInfo:
        """Write over an object that may be a manifest which owns its segments."""
        row = await self.archive.pointers.row(container, name)
        info = await write()
        if row is not None:
            self._tell(row)
        return info

    def _tell(self, removed: ObjectInfo) -> None:
        if OWNS in removed.head.headers:
            self._gone(removed.head.headers[OWNS])

    @asynccontextmanager
    async def _upload(self, container: Container, name: str, size: int | None) -> AsyncIterator[Upload]:
        mode = container.headers[MODE]
        if mode == ENABLED:
            at = await self.archive.place(container, name)
            async with self._store.upload(at[0], version_name(name, at[1]), size) as upload:

                async def commit(head: ObjectHead, condition: Condition) -> ObjectInfo:
                    return await self.archive.write(container, name, at, head, condition, upload.commit)

                yield SteppedUpload(upload, commit)
            return
        async with self._store.upload(container, name, size) as upload:

            async def commit_over(head: ObjectHead, condition: Condition) -> ObjectInfo:
                if mode == SUSPENDED:
                    return await upload.commit(head, await self._stored(container, name, condition))
                return await self._stack.write(container, name, condition, lambda kept: upload.commit(head, kept))

            yield SteppedUpload(upload, commit_over)

    async def _stored(self, container: Container, name: str, condition: Condition) -> Condition:
        if condition is ALWAYS:
            return ALWAYS
        return stored_condition(await self.archive.pointers.row(container, name), condition)

    async def update(
        self,
        container: Container,
        name: str,
        edit: Callable[[ObjectInfo], ObjectHead],
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        if is_archived(container):
            row = await self._store.head(container, name)
            if POINTER in row.head.headers:
                return await self.archive.update(container, row, edit, condition)
        return await self._store.update(container, name, lambda info: edit(lifted_object(info)), condition)

    async def delete(self, container: Container, name: str, condition: Condition = ALWAYS) -> ObjectInfo:
        mode = container.headers.get(MODE)
        if mode is None:
            info = await self._store.delete(container, name, condition)
        elif mode == ENABLED:
            info = await self.archive.delete(container, name, condition)
        elif mode == SUSPENDED:
            info = await self._store.delete(container, name, await self._stored(container, name, condition))
        else:
            info = await self._stack.delete(container, name, condition)
        self._tell(info)
        return lifted_object(info)

    # -- one version ---------------------------------------------------------------------------------------------

    async def delete_row(self, container: Container, name: str) -> None:
        """Remove the object as its container has it, without a note in the hidden one."""
        if is_archived(container):
            self._tell(await self._store.delete(container, name))
        else:
            await self.delete(container, name)

    async def head_version(self, container: Container, name: str, ticks: int) -> ObjectInfo:
        """One version."""
        hidden = await self.archive.hidden(container)
        return version_shown(lifted_object(await self._store.head(hidden, version_name(name, ticks))))

    @asynccontextmanager
    async def open_version(self, container: Container, name: str, ticks: int) -> AsyncIterator[OpenObject]:
        """One version, held open."""
        hidden = await self.archive.hidden(container)
        async with self._store.open(hidden, version_name(name, ticks)) as opened:
            yield Shown(opened, version_shown(lifted_object(opened.info)))

    async def list_versions(self, container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        """Versions by their hidden names."""
        try:
            return await self._store.list_objects(await self.archive.hidden(container), query)
        except NotFoundError:
            return []
