"""How versions are shown to those who know nothing of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType

from gateway.objects.lifting import OLD_OBJECT, lifted_object
from gateway.objects.notes import LISTED_BYTES, LISTED_HASH, VERSION_ID
from gateway.objects.versions.names import parse, version_id
from store.objects.interface import Buffer, Data, OpenObject, Upload
from store.objects.model import ALWAYS, Condition, ObjectEntry, ObjectHead, ObjectInfo, Subdir, Usage


class Shown:
    """An open object under another description."""

    def __init__(self, opened: OpenObject, info: ObjectInfo) -> None:
        self._opened = opened
        self.info = info

    @property
    def inline(self) -> Buffer | None:
        return self._opened.inline

    @property
    def data(self) -> Data | None:
        return self._opened.data

    def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        return self._opened.read(start, stop)


class Lifting:
    """The opening of an object whose notes may have older names."""

    __slots__ = ("_opening",)

    def __init__(self, opening: AbstractAsyncContextManager[OpenObject]) -> None:
        self._opening = opening

    async def __aenter__(self) -> OpenObject:
        opened = await self._opening.__aenter__()
        if OLD_OBJECT.isdisjoint(opened.info.head.headers):
            return opened
        return Shown(opened, lifted_object(opened.info))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._opening.__aexit__(kind, error, trace)


class SteppedUpload:
    """An upload whose commit takes more than one step."""

    def __init__(self, upload: Upload, commit: Callable[[ObjectHead, Condition], Awaitable[ObjectInfo]]) -> None:
        self.write = upload.write
        self.reflink = upload.reflink
        self.digest = upload.digest
        self._commit = commit

    async def commit(self, head: ObjectHead, condition: Condition = ALWAYS) -> ObjectInfo:
        return await self._commit(head, condition)


def version_shown(info: ObjectInfo) -> ObjectInfo:
    """A version under the object's own name."""
    name, ticks = parse(info.name)
    head = info.head
    return replace(info, name=name, head=replace(head, headers={**head.headers, VERSION_ID: version_id(ticks)}))


def shown_entry(entry: ObjectEntry | Subdir) -> ObjectEntry | Subdir:
    """An entry with the size and etag of the version that it points at."""
    if isinstance(entry, Subdir) or LISTED_HASH not in entry.listing:
        return entry
    return entry._replace(size=int(entry.listing[LISTED_BYTES]), etag=entry.listing[LISTED_HASH])


def with_bytes(usage: Usage, hidden: Usage) -> Usage:
    """A usage with the bytes of versions, which are not counted as objects."""
    policies = dict(usage.policies)
    for index, (_objects, more) in hidden.policies.items():
        objects, size = policies.get(index, (0, 0))
        policies[index] = objects, size + more
    return replace(usage, bytes=usage.bytes + hidden.bytes, policies=policies)
