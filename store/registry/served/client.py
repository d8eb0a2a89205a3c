"""The registry's promise, kept by asking the process that owns the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeVar

import trio

from store.core.errors import BusyError, DamageError, InvalidError
from store.registry.evaluation import check, check_key, check_span
from store.registry.interface import LEASE_SECONDS_MAX, Lease, OutcomeUnknownError, UnavailableError
from store.registry.items import Event, Item, Span
from store.registry.leases import GrantedLease
from store.registry.operations import Compare, Get, Operation, TransactionResult
from store.registry.served import methods
from store.registry.served.answers import understood
from store.registry.served.watch import Watch
from store.registry.values import (
    Answer,
    pack_compare,
    pack_operation,
    take,
    unpack_answers,
    unpack_item,
    unpack_items,
)
from store.wire.client import WireClient
from store.wire.errors import UnreachableError

SMALL_MAX: Final = 1024
"""Calls under way whose answers are small; others wait their turn here."""
CALL_SECONDS: Final = 15.0
"""A call is answered within this, or fails; waiting for a link, and asking again, included."""

_Result = TypeVar("_Result")


class ServedRegistry:
    """See Registry. `client` is one that runs, to the process that owns the registry.

    What can be done twice is asked again when the link has broken, and raises UnavailableError in the end. A
    transaction that may write, and a grant, are sent once: UnavailableError where they were not, OutcomeUnknownError
    where no answer came. Beside these, BusyError for a watch above the owner's bound, and DamageError where the owner's
    registry is older than what was seen of it.
    """

    def __init__(self, client: WireClient) -> None:
        self._client = client
        self._large = trio.Semaphore(methods.UNDER_WAY_MAX)
        self._small = trio.Semaphore(SMALL_MAX)
        self._seen = 0

    async def revision(self) -> int:
        seen = self._seen
        (revision,) = understood(take, [await self._ask(methods.REVISION)], int)
        self._check(seen, revision)
        return int(revision)

    async def get(self, key: bytes) -> Item | None:
        check_key(key)
        return understood(unpack_item, await self._ask(methods.GET, key))

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        check_span(span)
        if limit is not None and limit < 1:
            raise InvalidError(f"a limit of {limit} items")
        return await self._call(partial(self._range, span, limit, reverse), self._large, again=True)

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        check(compares, on_success, on_failure)
        request = (
            list(map(pack_compare, compares)),
            list(map(pack_operation, on_success)),
            list(map(pack_operation, on_failure)),
        )
        reads_only = all(isinstance(operation, Get) for operation in (*on_success, *on_failure))
        seen = self._seen
        result = await self._call(partial(self._transact, request), self._large, again=reads_only)
        self._check(seen, result.revision)
        return result

    async def lease(self, ttl_s: int) -> Lease:
        if not isinstance(ttl_s, int) or not 1 <= ttl_s <= LEASE_SECONDS_MAX:
            raise InvalidError(f"a lease lives a whole number of seconds, 1 to {LEASE_SECONDS_MAX}")
        granted = await self._ask(methods.LEASE, ttl_s, again=False)
        lease, lives_s = understood(take, granted, int, int)
        return GrantedLease(self, lease, lives_s)

    async def keep_alive(self, lease: int) -> None:
        """Raises NotFoundError when it has ended."""
        await self._ask(methods.KEEP_ALIVE, lease)

    async def revoke(self, lease: int) -> None:
        """Does nothing when it has ended before."""
        await self._ask(methods.REVOKE, lease)

    @asynccontextmanager
    async def watch(self, span: Span, from_revision: int = 0) -> AsyncIterator[AsyncIterator[Event]]:
        check_span(span)
        if from_revision < 0:
            raise InvalidError(f"no revision is {from_revision}")
        watch = Watch(self._client, span, from_revision)
        try:
            await self._call(watch.open, self._small, again=True)
            yield watch
        finally:
            await watch.close()

    # -- asking --------------------------------------------------------------------------------------------------

    async def _ask(self, method: str, *arguments: Any, again: bool = True) -> Any:
        """What has a small answer."""
        ask = partial(self._client.call, method, arguments)
        return (await self._call(ask, self._small, again=again)).result

    async def _range(self, span: Span, limit: int | None, reverse: bool) -> list[Item]:
        items: list[Item] = []
        async with self._client.stream(methods.RANGE, (*span, limit, reverse)) as parts:
            async for part in parts:
                items += understood(unpack_items, part)
        return items

    async def _transact(self, request: tuple[Any, ...]) -> TransactionResult:
        answers: list[Answer] = []
        async with self._client.stream(methods.TRANSACT, request) as parts:
            succeeded, revision = understood(take, await anext(parts, None), bool, int)
            async for part in parts:
                answers += understood(unpack_answers, part)
        return TransactionResult(succeeded, revision, tuple(answers))

    async def _call(self, ask: Callable[[], Awaitable[_Result]], slots: trio.Semaphore, *, again: bool) -> _Result:
        """Ask for something when there is a link; and, where doing it twice is as good as once, `again` whenever the
        link has broken."""
        why = f"no answer came within {CALL_SECONDS:.0f} s"
        asked = False
        with trio.move_on_after(CALL_SECONDS):
            async with slots:
                while not asked or again:
                    await self._client.wait_up()
                    asked = True
                    try:
                        return await ask()
                    except UnreachableError as error:
                        why = str(error)
                    except BusyError as error:
                        if again:
                            raise
                        why = str(error)
        if not asked:
            why = "too much else is asked for" if self._client.up else self._client.why
        elif not again:
            raise OutcomeUnknownError(f"it is unknown whether the registry did what it was asked for: {why}")
        raise UnavailableError(f"the process that has the registry does not answer: {why}")

    def _check(self, seen: int, revision: int) -> None:
        """Whatever is asked later is answered at a revision as high, or the registry is not what it was."""
        if revision < seen:
            raise DamageError(
                f"the registry is at revision {revision} after {seen}: it was put back to an older state. Restart all "
                "processes of Drystone"
            )
        self._seen = max(self._seen, revision)
