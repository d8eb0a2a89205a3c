"""One version of an object, by its id; `null` is the one from a time without versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.objects.access.caller import Caller
from gateway.objects.errors import BadVersionError, MarkerError, NotVersionedError
from gateway.objects.notes import VERSION_ID
from gateway.objects.versions.archive import is_archived
from gateway.objects.versions.names import MARKER_TYPE, NULL, ticks_of, version_id
from gateway.objects.versions.store import VersionedStore
from store.core.errors import NotFoundError
from store.objects.interface import OpenObject
from store.objects.model import Container, ObjectInfo


def _ticks(container: Container, version: str) -> int:
    """The number of a version, 0 for `null`. Raises NotVersionedError, BadVersionError."""
    if version == NULL:
        return 0
    if not is_archived(container):
        raise NotVersionedError(f"container {container.name!r} keeps no versions")
    ticks = ticks_of(version)
    if ticks is None:
        raise BadVersionError(f"{version!r} is no version's id")
    return ticks


def _require(caller: Caller, container: Container, *, reading: bool) -> None:
    """Raise AccessError to those whom a container's list alone lets in: versions are not for them."""
    caller.require(container.account, container.name, "", reading=reading)


@asynccontextmanager
async def opening(
    store: VersionedStore, caller: Caller, container: Container, name: str, version: str
) -> AsyncIterator[OpenObject]:
    """A version, held open. Raises MarkerError where it says that the object was deleted."""
    ticks = _ticks(container, version)
    if not ticks:
        async with store.open(container, name) as opened:
            _check_null(opened.info)
            yield opened
        return
    _require(caller, container, reading=True)
    async with store.open_version(container, name, ticks) as opened:
        _check_marker(opened.info, version)
        yield opened


async def head(store: VersionedStore, caller: Caller, container: Container, name: str, version: str) -> ObjectInfo:
    """The same without the bytes."""
    ticks = _ticks(container, version)
    if not ticks:
        info = await store.head(container, name)
        _check_null(info)
        return info
    _require(caller, container, reading=True)
    info = await store.head_version(container, name, ticks)
    _check_marker(info, version)
    return info


def _check_null(info: ObjectInfo) -> None:
    if info.head.headers.get(VERSION_ID, NULL) != NULL:
        raise NotFoundError("the current version has an id")


def _check_marker(info: ObjectInfo, version: str) -> None:
    if info.head.content_type == MARKER_TYPE:
        raise MarkerError(version, made=False)


def restorable(container: Container, version: str) -> int:
    """The number of a version that can be made the current one. Raises NotVersionedError, BadVersionError."""
    ticks = _ticks(container, version)
    if not ticks:
        raise BadVersionError("an object from a time without versions cannot be made the current version")
    return ticks


async def remove(
    store: VersionedStore, caller: Caller, container: Container, name: str, version: str
) -> tuple[str, str] | None:
    """Remove a version for good; nothing takes its place. Its id as it is kept and that of the version which is the
    current one then; None where it was `null`."""
    ticks = _ticks(container, version)
    if not ticks:
        await store.delete_row(container, name)
        return None
    _require(caller, container, reading=False)
    left = await store.archive.delete_version(container, name, ticks)
    return version_id(ticks), left
