"""A registry that stands for its process: after so many writes the process is dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import trio

from store.registry import Compare, Delete, Lease, Operation, Put, Registry, Span, TransactionResult
from store.registry.items import Event, Item


class DeadError(BaseException):
    """The process ended: nothing of it catches this."""


class MortalRegistry:
    """The calls of one process. `writes_left` transactions that write are done, then it dies: before the next one
    (`answered` True), or in it, done and not answered. Other calls do not count. None: it lives."""

    def __init__(self, registry: Registry, writes_left: int | None = None, *, answered: bool = True) -> None:
        self._registry = registry
        self.writes_left = writes_left
        self._answered = answered

    async def revision(self) -> int:
        return await self._registry.revision()

    async def get(self, key: bytes) -> Item | None:
        self.check()
        return await self._registry.get(key)

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        self.check()
        return await self._registry.range(span, limit=limit, reverse=reverse)

    async def lease(self, ttl_s: int) -> Lease:
        self.check()
        return MortalLease(await self._registry.lease(ttl_s), self)

    async def transact(
        self, compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation] = ()
    ) -> TransactionResult:
        self.check()
        # Others run between a look and the write after it.
        await trio.lowlevel.checkpoint()
        if not any(isinstance(operation, Put | Delete) for operation in on_success) or self.writes_left is None:
            return await self._registry.transact(compares, on_success, on_failure)
        if self.writes_left == 0 and self._answered:
            self.die()
        dies = self.writes_left == 0
        result = await self._registry.transact(compares, on_success, on_failure)
        if dies:
            self.die()
        self.writes_left -= 1
        return result

    def watch(self, span: Span, from_revision: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._registry.watch(span, from_revision)

    def die(self) -> None:
        """Now."""
        self.writes_left = -1
        raise DeadError

    def check(self) -> None:
        """Raises DeadError of a dead process."""
        if self.writes_left == -1:
            raise DeadError


class MortalLease:
    """Dies with its process: nobody keeps it alive then, and nobody gives it back."""

    def __init__(self, lease: Lease, process: MortalRegistry) -> None:
        self._lease = lease
        self._process = process

    @property
    def id(self) -> int:
        return self._lease.id

    @property
    def ttl_s(self) -> int:
        return self._lease.ttl_s

    async def keep_alive(self) -> None:
        self._process.check()
        await self._lease.keep_alive()

    async def revoke(self) -> None:
        self._process.check()
        await self._lease.revoke()
