"""libvirt from trio: its calls block, so each is made in a worker thread; its events come from a thread of their own.

libvirt's event loop is one for the process, and begins with the first connection.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache, partial
from typing import Any, Final, TypeVar

import libvirt
import trio

from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

T = TypeVar("T")

KEPT_EVENTS: Final = 1000
"""Of a subscription, until they are taken; what comes beyond these is dropped, as `Events` says."""

KEEPALIVE_SECONDS: Final = 5
KEEPALIVE_COUNT: Final = 3
"""A daemon that answers none of so many questions is gone, and whoever waits for it gets an error."""

_KINDS: Final[dict[int, type[DrystoneError]]] = {
    libvirt.VIR_ERR_NO_DOMAIN: NotFoundError,
    libvirt.VIR_ERR_DEVICE_MISSING: NotFoundError,
    libvirt.VIR_ERR_OPERATION_INVALID: ConflictError,
    libvirt.VIR_ERR_INVALID_ARG: InvalidError,
    libvirt.VIR_ERR_XML_ERROR: InvalidError,
    libvirt.VIR_ERR_XML_DETAIL: InvalidError,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: InvalidError,
}


class HypervisorError(DrystoneError):
    """libvirt or QEMU refused, for a reason that has no kind of its own here."""


async def call(function: Callable[..., T], *arguments: Any) -> T:
    """Make one call of libvirt's. It cannot be interrupted: a cancellation waits for its end, so that nobody has to
    guess what it did. Raises NotFoundError, ConflictError, InvalidError, HypervisorError, each with libvirt's words."""
    try:
        return await trio.to_thread.run_sync(partial(function, *arguments))
    except libvirt.libvirtError as error:
        kind = _KINDS.get(error.get_error_code(), HypervisorError)
        raise kind(str(error)) from error


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[Any]:
    """A connection (libvirt.virConnect), as long as the context lasts. Raises RetryableError where nobody is there."""
    _start_events()
    try:
        connection = await call(libvirt.open, uri)
    except DrystoneError as error:
        raise RetryableError(f"no hypervisor at {uri}: {error}") from error
    try:
        with suppress(DrystoneError):  # a driver within the process has none
            await call(connection.setKeepAlive, KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        yield connection
    finally:
        with trio.CancelScope(shield=True):
            await call(connection.close)


class Events:
    """Events of domains, in order, as tuples of what libvirt gives a callback behind the connection."""

    def __init__(self, receive: trio.MemoryReceiveChannel[tuple[Any, ...]]) -> None:
        self._receive = receive

    async def next(self) -> tuple[Any, ...]:
        return await self._receive.receive()

    def taken(self) -> list[tuple[Any, ...]]:
        """Those that came and were not taken yet."""
        found: list[tuple[Any, ...]] = []
        with suppress(trio.WouldBlock):
            while True:
                found.append(self._receive.receive_nowait())
        return found


@asynccontextmanager
async def events(connection: Any, *kinds: int, domain: Any = None) -> AsyncIterator[Events]:
    """Subscribe to kinds of events (VIR_DOMAIN_EVENT_ID_...), of one domain or all. Each comes as (kind, domain, what
    libvirt says of it...). What happened after entering is never missed, unless more than KEPT_EVENTS are not taken."""
    token = trio.lowlevel.current_trio_token()
    send, receive = trio.open_memory_channel[tuple[Any, ...]](KEPT_EVENTS)

    def deliver(event: tuple[Any, ...]) -> None:
        with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            send.send_nowait(event)

    def heard(_: Any, of: Any, *rest: Any) -> None:
        *said, kind = rest
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(deliver, (kind, of, *said))

    async with AsyncExitStack() as subscriptions:
        for kind in kinds:
            handle = await call(connection.domainEventRegisterAny, domain, kind, heard, kind)
            subscriptions.push_async_callback(_unsubscribe, connection, handle)
        yield Events(receive)


async def _unsubscribe(connection: Any, handle: int) -> None:
    with trio.CancelScope(shield=True), suppress(DrystoneError):  # a connection that is gone has no subscriptions
        await call(connection.domainEventDeregisterAny, handle)


@cache
def _start_events() -> None:
    """Once in a process, and before its first connection."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it prints what it also raises
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt events", daemon=True).start()
