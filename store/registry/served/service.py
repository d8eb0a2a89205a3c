"""Who answers for the registry of this process: requests of other processes become calls of it.

One `RegistryService` for a registry that is open, one `_Session` for each link. What a link asks for is of the right
types, and within all bounds that can be told without the registry, before the registry is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import trio

from store.core.entropy import Random, SystemRandom
from store.core.errors import BusyError
from store.registry.evaluation import check, check_span
from store.registry.history import Watcher
from store.registry.interface import CompactedError
from store.registry.items import Item, Span
from store.registry.local import LocalRegistry
from store.registry.operations import Compare, Operation
from store.registry.served import methods
from store.registry.values import (
    Answer,
    pack_answer,
    pack_event,
    pack_item,
    take,
    unpack_compare,
    unpack_operation,
)
from store.wire.server import Call, Peer

WATCHES_MAX: Final = 1024
"""Of one link."""
ANSWERED_MAX: Final = 4
"""Of the transactions and ranges of one link, so many are done at a time: an answer is held in memory until it has
left."""
TAKEN_SECONDS: Final = 30.0
"""It is to be taken within this. Longer than who asks waits."""
PROGRESS_SECONDS: Final = 5.0
"""A watcher is told so often how far it is, if there was nothing else to tell: where it begins again after a link broke
must not fall behind the history because nothing happened in its span."""
PART_BYTES: Final = 1024 * 1024
"""Of keys and values, after which a part of an answer is sent: with one more value, still less than a frame."""
_ITEM_BYTES: Final = 64
"""What an item takes beside its key and value."""


class RegistryService:
    """Answers for one registry, which this process owns, for as long as it is open: a registry that is opened anew
    has a service of its own."""

    def __init__(self, registry: LocalRegistry, random: Random | None = None) -> None:
        self._registry = registry
        self._history = (random or SystemRandom()).bytes(16)

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers.update(_Session(self._registry, self._history).handlers())


class _Session:
    """What one peer has under way here."""

    def __init__(self, registry: LocalRegistry, history: bytes) -> None:
        self._registry = registry
        self._history = history
        self._watches = 0
        self._under_way = 0
        self._answered = trio.Semaphore(ANSWERED_MAX)

    def handlers(self) -> dict[str, Callable[[Call], None]]:
        handlers: dict[str, Callable[..., None]] = {
            methods.REVISION: self._revision,
            methods.GET: self._get,
            methods.RANGE: self._range,
            methods.TRANSACT: self._transact,
            methods.LEASE: self._lease,
            methods.KEEP_ALIVE: self._keep_alive,
            methods.REVOKE: self._revoke,
            methods.WATCH: self._watch,
        }
        return {name: partial(_checked, methods.TYPES[name], handler) for name, handler in handlers.items()}

    # -- small answers -------------------------------------------------------------------------------------------

    def _revision(self, call: Call) -> None:
        call.begin(self._registry.revision)

    def _get(self, call: Call, key: bytes) -> None:

        async def work() -> Any:
            return pack_item(await self._registry.get(key))

        call.begin(work)

    def _lease(self, call: Call, ttl_s: int) -> None:

        async def work() -> tuple[int, int]:
            lease = await self._registry.lease(ttl_s)
            return lease.id, lease.ttl_s

        call.begin(work)

    def _keep_alive(self, call: Call, lease: int) -> None:
        call.begin(partial(self._registry.keep_alive, lease))

    def _revoke(self, call: Call, lease: int) -> None:
        call.begin(partial(self._registry.revoke, lease))

    # -- answers that may be large -------------------------------------------------------------------------------

    def _range(self, call: Call, start: bytes, end: bytes | None, limit: int | None, reverse: bool) -> None:
        span = Span(start, end)
        check_span(span)
        self._begin_large(call, partial(self._tell_range, call, span, limit, reverse))

    async def _tell_range(self, call: Call, span: Span, limit: int | None, reverse: bool) -> None:
        for part in _parts(await self._registry.range(span, limit=limit, reverse=reverse)):
            await call.send(part)

    def _transact(self, call: Call, compares: list[Any], on_success: list[Any], on_failure: list[Any]) -> None:
        transaction = (
            list(map(unpack_compare, compares)),
            list(map(unpack_operation, on_success)),
            list(map(unpack_operation, on_failure)),
        )
        check(*transaction)
        self._begin_large(call, partial(self._tell_transaction, call, *transaction))

    async def _tell_transaction(
        self, call: Call, compares: list[Compare], on_success: list[Operation], on_failure: list[Operation]
    ) -> None:
        result = await self._registry.transact(compares, on_success, on_failure)
        await call.send((result.succeeded, result.revision))
        for part in _parts(result.answers):
            await call.send(part)

    def _begin_large(self, call: Call, work: Callable[[], Awaitable[None]]) -> None:
        if self._under_way >= methods.UNDER_WAY_MAX:
            raise BusyError(f"{self._under_way} transactions and ranges of this link are under way")
        self._under_way += 1
        call.begin(partial(self._in_turn, call, work))

    async def _in_turn(self, call: Call, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._answered:
                with trio.move_on_after(TAKEN_SECONDS) as scope:
                    await work()
                    call.end()
            if scope.cancelled_caught:
                raise BusyError(f"the answer was not taken within {TAKEN_SECONDS:.0f} s")
        finally:
            self._under_way -= 1

    # -- watches -------------------------------------------------------------------------------------------------

    def _watch(
        self, call: Call, start: bytes, end: bytes | None, revision: int, passed: int, history: bytes
    ) -> None:  # fmt: skip
        if history not in (b"", self._history):
            raise CompactedError("the registry was opened anew, and what it told before is no longer kept")
        if self._watches >= WATCHES_MAX:
            raise BusyError(f"{self._watches} watches of this link are open")
        watcher = self._registry.watcher(Span(start, end), revision, passed)
        self._watches += 1
        call.begin(partial(self._tell_watch, call, watcher))

    async def _tell_watch(self, call: Call, watcher: Watcher) -> None:
        """Nothing is fetched before there is room for it: the history alone holds what a slow reader has not taken."""
        try:
            told = watcher.position
            await call.send((*told, self._history))
            while True:
                await call.room()
                event = None
                with trio.move_on_after(PROGRESS_SECONDS):
                    event = await anext(watcher)
                if event is not None or watcher.position != told:
                    told = watcher.position
                    await call.send((*told, None if event is None else pack_event(event)))
        finally:
            self._watches -= 1


def _checked(types: tuple[Any, ...], handler: Callable[..., None], call: Call) -> None:
    """Have a call handled whose arguments are of these types. Raises TypeError."""
    handler(call, *take(call.arguments, *types))


def _parts(answers: Iterable[Answer]) -> Iterator[list[Any]]:
    """Answers, packed, as many together as make a message."""
    part: list[Any] = []
    size = 0
    for answer in answers:
        part.append(pack_answer(answer))
        size += _ITEM_BYTES + (len(answer.key) + len(answer.value) if isinstance(answer, Item) else 0)
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
