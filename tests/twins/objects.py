"""`MemoryStore`: the object store's contract in dictionaries, simple enough to be believed by reading it.

It is what the gateways are tested over, and the model that the real store is compared with. Nothing here is shared
with the real store: not its placement, not its listing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from store.core.clock import Clock
from store.core.errors import ConflictError, DigestError, InvalidError, NotFoundError, OutdatedError, PreconditionError
from store.core.limits import INLINE_BYTES_MAX, NAME_BYTES_MAX
from store.core.stamp import StampSource
from store.objects.interface import Buffer, Data, HeaderChanges, OpenObject, Upload
from store.objects.model import (
    ALWAYS,
    Account,
    Condition,
    Container,
    ContainerEntry,
    Headers,
    ListingQuery,
    ObjectEntry,
    ObjectHead,
    ObjectInfo,
    Policy,
    Subdir,
    Usage,
)
from tests.twins.clock import ManualClock

E = TypeVar("E")

PIECE_BYTES = 1024 * 1024
ONE_POLICY = (Policy(0, "standard", default=True),)


@dataclass
class _Row:
    info: ObjectInfo
    data: bytes


@dataclass
class _ContainerRow:
    container: Container
    objects: dict[str, _Row] = field(default_factory=dict)


@dataclass
class _AccountRow:
    account: Account
    containers: dict[str, _ContainerRow] = field(default_factory=dict)


@dataclass(frozen=True)
class _MemoryData:
    policy: int
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


class _MemoryOpen:
    def __init__(self, row: _Row) -> None:
        self.info = row.info
        self._data = row.data

    @property
    def data(self) -> Data | None:
        return None if self.inline is not None else _MemoryData(self.info.policy, self._data)

    @property
    def inline(self) -> Buffer | None:
        return self._data if len(self._data) <= INLINE_BYTES_MAX else None

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        end = len(self._data) if stop is None else min(stop, len(self._data))
        while start < end:
            piece = bytearray(self._data[start : min(start + PIECE_BYTES, end)])
            yield memoryview(piece)
            start += len(piece)
            piece[:] = b"\xee" * len(piece)  # a reader that keeps a piece past the next one sees it spoilt


class _MemoryUpload:
    def __init__(self, store: MemoryStore, container: Container, name: str) -> None:
        self._store = store
        self._container = container
        self._name = name
        self._data = bytearray()
        self._digest: tuple[int, str] | None = None
        self.open = True

    async def write(self, data: Buffer) -> None:
        assert self.open, "written after the context was left"
        assert self._digest is None, "written after digest"
        self._data += data

    async def reflink(self, data: Data) -> bool:
        assert self.open
        assert not self._data, "shared behind what was written"
        assert isinstance(data, _MemoryData)
        if data.policy != self._container.policy:
            return False
        self._data += data.data
        return True

    async def digest(self) -> tuple[int, str]:
        assert self.open
        if self._digest is None:
            self._digest = len(self._data), hashlib.md5(self._data, usedforsecurity=False).hexdigest()
        return self._digest

    async def commit(self, head: ObjectHead, condition: Condition = ALWAYS) -> ObjectInfo:
        assert self.open
        return self._store.place(self._container, self._name, bytes(self._data), head, condition)


class MemoryStore:
    """Accounts, containers and objects in dictionaries. Time comes from `clock` alone."""

    def __init__(self, clock: Clock | None = None, policies: Sequence[Policy] = ONE_POLICY) -> None:
        self._clock: Clock = clock or ManualClock(tick_us=1)
        self._stamps = StampSource(self._clock, writer=1)
        self._policies = tuple(policies)
        self._default = next(policy.index for policy in self._policies if policy.default)
        self._accounts: dict[str, _AccountRow] = {}
        self._ids = 0
        self.uploads_begun = 0
        self.uploads_left = 0

    @property
    def policies(self) -> Sequence[Policy]:
        return self._policies

    # -- accounts ------------------------------------------------------------------------------------------------

    def known_account(self, name: str) -> Account | None:
        row = self._accounts.get(name)
        return None if row is None else row.account

    async def account(self, name: str) -> Account:
        return self._account(name).account

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        _check_name(name)
        row = self._accounts.get(name)
        stamp = self._stamps.next()
        if row is None:
            account = Account(name, self._new_id(), 1, stamp, stamp, _changed({}, headers))
            self._accounts[name] = _AccountRow(account)
            return account, True
        row.account = replace(row.account, changed=stamp, headers=_changed(row.account.headers, headers))
        return row.account, False

    async def delete_account(self, name: str) -> None:
        if self._account(name).containers:
            raise ConflictError(f"account {name!r} holds containers")
        del self._accounts[name]

    async def account_usage(self, account: Account) -> Usage:
        row = self._account(account.name)
        objects = size = 0
        policies: dict[int, tuple[int, int]] = {}
        for container in row.containers.values():
            usage = self._usage(container)
            objects += usage.objects
            size += usage.bytes
            for index, (more_objects, more_bytes) in usage.policies.items():
                had_objects, had_bytes = policies.get(index, (0, 0))
                policies[index] = had_objects + more_objects, had_bytes + more_bytes
        containers = Counter(each.container.policy for each in row.containers.values())
        return Usage(objects, size, len(row.containers), policies, containers)

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]:
        row = self._account(account.name)
        entries = (
            (name, ContainerEntry(name, self._usage(held), held.container.changed, held.container.policy))
            for name, held in row.containers.items()
        )
        return page(entries, query)

    # -- containers ----------------------------------------------------------------------------------------------

    def known_container(self, account: str, name: str) -> Container | None:
        row = self._accounts.get(account)
        found = None if row is None else row.containers.get(name)
        return None if found is None else found.container

    async def container(self, account: str, name: str) -> Container:
        return self._container(account, name).container

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None = None
    ) -> tuple[Container, bool]:
        _check_name(name)
        containers = self._account(account).containers
        row = containers.get(name)
        if row is None:
            chosen = self._default if policy is None else policy
            if chosen not in {known.index for known in self._policies}:
                raise InvalidError(f"no policy {chosen}")
            stamp = self._stamps.next()
            container = Container(account, name, self._new_id(), chosen, 1, stamp, stamp, _changed({}, headers))
            containers[name] = _ContainerRow(container)
            return container, True
        if policy is not None and policy != row.container.policy:
            raise ConflictError(f"container {name!r} has policy {row.container.policy}")
        row.container = replace(
            row.container, changed=self._stamps.next(), headers=_changed(row.container.headers, headers)
        )
        return row.container, False

    async def delete_container(self, account: str, name: str) -> None:
        if self._usage(self._container(account, name)).objects:
            raise ConflictError(f"container {name!r} holds objects")
        del self._accounts[account].containers[name]

    async def container_usage(self, container: Container) -> Usage:
        return self._usage(self._held(container))

    async def list_names(self, container: Container, query: ListingQuery) -> list[str]:
        return [entry.name for entry in await self.list_objects(container, query)]

    async def list_objects(self, container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        entries = (
            (
                name,
                ObjectEntry(
                    name,
                    row.info.size,
                    row.info.etag,
                    row.info.head.content_type,
                    row.info.head.listing,
                    row.info.changed,
                ),
            )
            for name, row in self._held(container).objects.items()
            if not self._expired(row)
        )
        return page(entries, query)

    # -- objects -------------------------------------------------------------------------------------------------

    async def head(
        self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None
    ) -> ObjectInfo:
        self._check_memory(container, owner)
        return self._row(container, name, expired).info

    def _check_memory(self, container: Container, owner: Account | None) -> None:
        row = self._accounts.get(container.account)
        there = None if row is None else row.containers.get(container.name)
        if owner is not None and (there is None or there.container is not container):
            raise OutdatedError(container.name)

    @asynccontextmanager
    async def _open(
        self, container: Container, name: str, expired: bool, owner: Account | None
    ) -> AsyncIterator[OpenObject]:
        self._check_memory(container, owner)
        yield _MemoryOpen(self._row(container, name, expired))

    def open(
        self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None
    ) -> AbstractAsyncContextManager[OpenObject]:
        return self._open(container, name, expired, owner)

    async def put(
        self,
        container: Container,
        name: str,
        data: Buffer,
        head: ObjectHead,
        condition: Condition = ALWAYS,
        digest: str = "",
        *,
        owner: Account | None = None,
    ) -> ObjectInfo:
        self._check_memory(container, owner)
        if digest and digest != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise DigestError("another MD5")
        if len(data) > INLINE_BYTES_MAX:
            raise InvalidError(f"{len(data)} bytes are too many for one step")
        return self.place(container, name, bytes(data), head, condition)

    @asynccontextmanager
    async def _upload(self, container: Container, name: str) -> AsyncIterator[Upload]:
        _check_name(name)
        upload = _MemoryUpload(self, container, name)
        self.uploads_begun += 1
        try:
            yield upload
        finally:
            upload.open = False
            self.uploads_left += 1

    def upload(self, container: Container, name: str, size: int | None = None) -> AbstractAsyncContextManager[Upload]:
        return self._upload(container, name)

    async def update(
        self,
        container: Container,
        name: str,
        edit: Callable[[ObjectInfo], ObjectHead],
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        row = self._row(container, name, expired=False)
        if not condition.holds(row.info.etag, row.info.changed):
            raise PreconditionError(name)
        row.info = replace(row.info, head=edit(row.info), changed=self._stamps.next())
        return row.info

    async def delete(
        self,
        container: Container,
        name: str,
        condition: Condition = ALWAYS,
        *,
        check: Callable[[ObjectInfo], bool] | None = None,
        owner: Account | None = None,
    ) -> ObjectInfo:
        self._check_memory(container, owner)
        row = self._row(container, name, expired=False)
        if not condition.holds(row.info.etag, row.info.changed) or (check is not None and not check(row.info)):
            raise PreconditionError(name)
        del self._held(container).objects[name]
        return row.info

    def place(self, container: Container, name: str, data: bytes, head: ObjectHead, condition: Condition) -> ObjectInfo:
        """Put whole data in place: the one step in which a write becomes visible."""
        _check_name(name)
        held = self._held(container)
        present = held.objects.get(name)
        info = None if present is None or self._expired(present) else present.info
        if not (condition.holds(None) if info is None else condition.holds(info.etag, info.changed)):
            raise PreconditionError(name)
        stamp = self._stamps.next()
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        info = ObjectInfo(name, len(data), etag, head, stamp, stamp, container.policy)
        held.objects[name] = _Row(info, data)
        return info

    def collect_expired(self) -> None:
        """What an expirer does in its own time."""
        for account in self._accounts.values():
            for container in account.containers.values():
                for name in [name for name, row in container.objects.items() if self._expired(row)]:
                    del container.objects[name]

    # -- looking up ----------------------------------------------------------------------------------------------

    def _account(self, name: str) -> _AccountRow:
        try:
            return self._accounts[name]
        except KeyError:
            raise NotFoundError(f"no account {name!r}") from None

    def _container(self, account: str, name: str) -> _ContainerRow:
        try:
            return self._account(account).containers[name]
        except KeyError:
            raise NotFoundError(f"no container {name!r}") from None

    def _held(self, container: Container) -> _ContainerRow:
        row = self._container(container.account, container.name)
        if row.container.id != container.id:
            raise NotFoundError(f"container {container.name!r} was deleted")
        return row

    def _row(self, container: Container, name: str, expired: bool) -> _Row:
        row = self._held(container).objects.get(name)
        if row is None or (not expired and self._expired(row)):
            raise NotFoundError(f"no object {name!r}")
        return row

    def _expired(self, row: _Row) -> bool:
        ends = row.info.head.expires_at
        return ends is not None and ends * 1_000_000 <= self._clock.wall_us()

    def _usage(self, row: _ContainerRow) -> Usage:
        live = [held for held in row.objects.values() if not self._expired(held)]
        size = sum(held.info.size for held in live)
        return Usage(len(live), size, 0, {row.container.policy: (len(live), size)})

    def _new_id(self) -> bytes:
        self._ids += 1
        return self._ids.to_bytes(16, "big")


def page(entries: Iterable[tuple[str, E]], query: ListingQuery) -> list[E | Subdir]:
    """One page of a listing, the slow way: sort everything, drop what is out of bounds, fold, cut.

    A Subdir stands where the first of its names stands. It is left out only when the lower bound names it: then it
    was shown by the page before (or was asked to be left out).
    """
    low, high = (query.end_marker, query.marker) if query.reverse else (query.marker, query.end_marker)
    result: list[E | Subdir] = []
    shown: set[str] = set()
    for name, entry in sorted(entries, key=lambda pair: pair[0].encode(), reverse=query.reverse):
        packed = name.encode()
        if not name.startswith(query.prefix) or packed <= low.encode() or (high and packed >= high.encode()):
            continue
        if len(result) >= query.limit:
            break
        cut = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        if cut < 0:
            result.append(entry)
            continue
        subdir = name[: cut + len(query.delimiter)]
        if subdir not in shown and subdir != low:
            shown.add(subdir)
            result.append(Subdir(subdir))
    return result


def _changed(headers: Headers, changes: HeaderChanges) -> dict[str, str]:
    merged = dict(headers)
    for name, value in changes.items():
        if value:
            merged[name] = value
        else:
            merged.pop(name, None)
    return merged


def _check_name(name: str) -> None:
    if not 0 < len(name.encode()) <= NAME_BYTES_MAX:
        raise InvalidError(f"a name of {len(name.encode())} bytes")
