"""The transactions on one key that most callers want."""

from __future__ import annotations

from store.core.errors import ConflictError
from store.registry.interface import Registry
from store.registry.operations import Compare, Delete, Put


async def put(registry: Registry, key: bytes, value: bytes, *, lease: int = 0) -> int:
    """Stores whatever was there before. The revision, which is the item's mod_revision."""
    return (await registry.transact((), [Put(key, value, lease)])).revision


async def create(registry: Registry, key: bytes, value: bytes, *, lease: int = 0) -> int:
    """Stores only where nothing is: with a lease, this takes a lock, and the revision is its fencing number.

    Raises ConflictError where the key exists.
    """
    result = await registry.transact([Compare.absent(key)], [Put(key, value, lease)])
    if not result.succeeded:
        raise ConflictError(f"{key!r} exists")
    return result.revision


async def replace(registry: Registry, key: bytes, value: bytes, mod_revision: int, *, lease: int = 0) -> int:
    """Stores only where the item is still the one last put at `mod_revision` (0: where nothing is). The new revision.

    Raises ConflictError where it changed meanwhile: read again, decide again.
    """
    result = await registry.transact([Compare.unchanged(key, mod_revision)], [Put(key, value, lease)])
    if not result.succeeded:
        raise ConflictError(f"{key!r} changed since revision {mod_revision}")
    return result.revision


async def delete(registry: Registry, key: bytes, *, mod_revision: int | None = None) -> bool:
    """Whether there was something to delete. With `mod_revision`: only the item last put at it, else ConflictError."""
    compares = [] if mod_revision is None else [Compare.unchanged(key, mod_revision)]
    result = await registry.transact(compares, [Delete(key)])
    if not result.succeeded:
        raise ConflictError(f"{key!r} changed since revision {mod_revision}")
    return result.answers == (1,)
