"""The registry of another process of this machine: requests and answers as msgpack. Sans-I/O.

The process that owns the embedded registry answers for it (`answer`); another asks through `RemoteRegistry`, given a
function that carries bytes there and back. Leases and watches belong to processes that stay, and are not offered here.

A request is `[method, arguments...]`; an answer `[0, result]`, or `[1, error class, message]`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgpack

from store.core import errors
from store.core.errors import DrystoneError, InvalidError, RetryableError
from store.registry.interface import Lease, Registry
from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Operation, TransactionResult
from store.registry.values import (
    pack_answer,
    pack_compare,
    pack_item,
    pack_operation,
    take,
    unpack_answers,
    unpack_compare,
    unpack_item,
    unpack_items,
    unpack_operation,
)


class RemoteRegistry:
    """Keeps the registry's promise by asking the process that owns it."""

    def __init__(self, call: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._call = call

    async def _ask(self, method: str, *arguments: object) -> Any:
        kind, *rest = msgpack.unpackb(await self._call(msgpack.packb([method, *arguments])))
        if kind == 0:
            return rest[0]
        name, message = rest
        known = getattr(errors, name, RetryableError)
        raise known(message)

    async def revision(self) -> int:
        revision: int = await self._ask("revision")
        return revision

    async def get(self, key: bytes) -> Item | None:
        return unpack_item(await self._ask("get", key))

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        return unpack_items(await self._ask("range", *span, limit, reverse))

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        succeeded, revision, answers = await self._ask(
            "transact",
            list(map(pack_compare, compares)),
            list(map(pack_operation, on_success)),
            list(map(pack_operation, on_failure)),
        )
        return TransactionResult(succeeded, revision, tuple(unpack_answers(answers)))

    async def lease(self, ttl_s: int) -> Lease:
        raise InvalidError("a lease is held by the process that owns the registry, not through it")

    def watch(self, span: Span, from_revision: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        raise InvalidError("the registry is watched by the process that owns it, not through it")


async def answer(registry: Registry, request: bytes) -> bytes:
    """Do what a request asks, and give the answer. Never raises a DrystoneError: it is part of the answer."""
    try:
        method, *arguments = msgpack.unpackb(request)
        result = await _do(registry, method, arguments)
    except DrystoneError as error:
        return _packed([1, type(error).__name__, str(error)])
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        return _packed([1, "InvalidError", f"no request that is known here: {error}"])
    return _packed([0, result])


async def _do(registry: Registry, method: str, arguments: list[Any]) -> object:
    match method:
        case "revision":
            take(arguments)
            return await registry.revision()
        case "get":
            return pack_item(await registry.get(*take(arguments, bytes)))
        case "range":
            start, end, limit, reverse = take(arguments, bytes, bytes | None, int | None, bool)
            return list(map(pack_item, await registry.range(Span(start, end), limit=limit, reverse=reverse)))
        case "transact":
            compares, on_success, on_failure = take(arguments, list, list, list)
            result = await registry.transact(
                list(map(unpack_compare, compares)),
                list(map(unpack_operation, on_success)),
                list(map(unpack_operation, on_failure)),
            )
            return [result.succeeded, result.revision, list(map(pack_answer, result.answers))]
    raise InvalidError(f"there is no method {method!r}")


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed
