"""The registry of another process of this machine: requests and answers as msgpack. Sans-I/O.

The process that owns the embedded registry answers for it (`answer`); another asks through `RemoteRegistry`, given a
function that carries bytes there and back. Leases and watches belong to processes that stay, and are not offered here.

A request is `[method, arguments...]`; an answer `[0, result]`, or `[1, error class, message]`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgpack

from store.core import errors
from store.core.errors import DrystoneError, InvalidError, RetryableError
from store.registry.interface import Lease, Registry
from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Delete, DeleteRange, Get, Operation, Put, TransactionResult

_OPERATIONS: Final[dict[str, type[Put | Delete | DeleteRange | Get]]] = {
    "put": Put,
    "delete": Delete,
    "delete_range": DeleteRange,
    "get": Get,
}
_NAMES: Final = {kind: name for name, kind in _OPERATIONS.items()}


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
        found = await self._ask("get", key)
        return None if found is None else Item(*found)

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        return [Item(*fields) for fields in await self._ask("range", *span, limit, reverse)]

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        succeeded, revision, answers = await self._ask(
            "transact",
            [[compare.key, compare.target, compare.relation, compare.operand] for compare in compares],
            [_pack(operation) for operation in on_success],
            [_pack(operation) for operation in on_failure],
        )
        return TransactionResult(
            succeeded, revision, tuple(Item(*each) if isinstance(each, list) else each for each in answers)
        )

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
            return await registry.revision()
        case "get":
            item = await registry.get(*arguments)
            return None if item is None else _fields(item)
        case "range":
            start, end, limit, reverse = arguments
            return [_fields(item) for item in await registry.range(Span(start, end), limit=limit, reverse=reverse)]
        case "transact":
            compares, on_success, on_failure = arguments
            result = await registry.transact(
                [Compare(*compare) for compare in compares],
                [_unpack(operation) for operation in on_success],
                [_unpack(operation) for operation in on_failure],
            )
            answers = [_fields(each) if isinstance(each, Item) else each for each in result.answers]
            return [result.succeeded, result.revision, answers]
    raise InvalidError(f"there is no method {method!r}")


def _fields(item: Item) -> list[object]:
    return [item.key, item.value, item.create_revision, item.mod_revision, item.version, item.lease]


def _pack(operation: Operation) -> list[object]:
    match operation:
        case Put(key, value, lease):
            return ["put", key, value, lease]
        case DeleteRange(span):
            return ["delete_range", span.start, span.end]
        case Delete(key) | Get(key):
            return [_NAMES[type(operation)], key]


def _unpack(packed: list[Any]) -> Operation:
    name, *fields = packed
    if name == "delete_range":
        return DeleteRange(Span(*fields))
    return _OPERATIONS[name](*fields)


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed
