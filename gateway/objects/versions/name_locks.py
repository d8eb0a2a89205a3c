"""A turn per name, for steps that the store cannot take as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from store.objects.model import Container


class NameLocks:
    """Locks by object, there only while somebody wants them."""

    def __init__(self) -> None:
        self._held: dict[tuple[bytes, str], tuple[trio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def lock(self, container: Container, name: str) -> AsyncIterator[None]:
        """Keep others of this process from changing the object meanwhile."""
        key = container.id, name
        lock, users = self._held.setdefault(key, (trio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                del self._held[key]
