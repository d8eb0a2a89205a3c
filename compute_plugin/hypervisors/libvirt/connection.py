"""libvirt from trio: its calls block, so each is made in a worker thread; its events come from a thread of their own.

libvirt's event loop is one for the process, and begins with the first connection.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache, partial
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import libvirt
import outcome
import trio

from compute_plugin.hypervisors.interface import HypervisorError
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

T = TypeVar("T")

KEPT_EVENTS: Final = 1000
"""Of a subscription, until they are taken; what comes beyond these is dropped, as `Events` says."""

LOST_SECONDS: Final = 2.0
"""For so long calls are waited for whose daemon is gone."""

_KINDS: Final[dict[int, type[DrystoneError]]] = {
    libvirt.VIR_ERR_NO_DOMAIN: NotFoundError,
    libvirt.VIR_ERR_DEVICE_MISSING: NotFoundError,
    libvirt.VIR_ERR_OPERATION_INVALID: ConflictError,
    libvirt.VIR_ERR_INVALID_ARG: InvalidError,
    libvirt.VIR_ERR_XML_ERROR: InvalidError,
    libvirt.VIR_ERR_XML_DETAIL: InvalidError,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: InvalidError,
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: ConflictError,
    libvirt.VIR_ERR_NO_CONNECT: RetryableError,
    libvirt.VIR_ERR_INVALID_CONN: RetryableError,
    libvirt.VIR_ERR_RPC: RetryableError,
}


async def call(function: Callable[..., T], *arguments: Any) -> T:
    """Make one call of libvirt's. It cannot be interrupted: a cancellation waits for its end, so that nobody has to
    guess what it did. Raises NotFoundError, ConflictError, InvalidError, HypervisorError, each with libvirt's words,
    and RetryableError where the daemon is gone: then nobody knows whether it did it."""
    lost = _losses.get(_connection_of(function, arguments))
    try:
        if lost is None:
            return await trio.to_thread.run_sync(partial(function, *arguments))
        return await _unless(lost, partial(function, *arguments))
    except libvirt.libvirtError as error:
        raise _kind(error)(str(error)) from error


_losses: WeakKeyDictionary[Any, trio.Event] = WeakKeyDictionary()
"""Of connections whose daemon may go away, whether it has."""


def watch_loss(connection: Any) -> trio.Event:
    """From now on no call of this connection is waited for when the event is set: a daemon that hangs answers none."""
    return _losses.setdefault(connection, trio.Event())


def _connection_of(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Whose call that is, as far as it can be seen."""
    while isinstance(function, partial):
        function = function.func
    owner = getattr(function, "__self__", None) or (arguments[0] if arguments else None)
    return getattr(owner, "_conn", None) or owner


async def _unless(lost: trio.Event, work: Callable[[], T]) -> T:
    async def watch() -> None:
        await lost.wait()
        await trio.sleep(LOST_SECONDS)
        scope.cancel()

    result: outcome.Value[T] | outcome.Error | None = None
    async with trio.open_nursery() as nursery:
        with trio.CancelScope(shield=True) as scope:
            nursery.start_soon(watch)
            result = await trio.to_thread.run_sync(partial(outcome.capture, work), abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    if result is None:
        raise RetryableError("the hypervisor does not answer any more: nobody knows whether it did what it was asked")
    done: T = result.unwrap()
    return done


def _kind(error: libvirt.libvirtError) -> type[DrystoneError]:
    if error.get_error_domain() == libvirt.VIR_FROM_RPC:  # such as "client socket is closed", an internal error
        return RetryableError
    return _KINDS.get(error.get_error_code(), HypervisorError)


async def open_connection(uri: str) -> Any:
    """A connection (libvirt.virConnect), for whoever closes it. Raises RetryableError where nobody is there."""
    start_events()
    try:
        # What hangs here may be given up when the program ends.
        connection: Any = await trio.to_thread.run_sync(libvirt.open, uri, abandon_on_cancel=True)
    except libvirt.libvirtError as error:
        raise RetryableError(f"no hypervisor at {uri}: {error}") from error
    return connection


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[Any]:
    """A connection, as long as the context lasts. Raises RetryableError where nobody is there."""
    connection = await open_connection(uri)
    try:
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
    send, receive = trio.open_memory_channel[tuple[Any, ...]](KEPT_EVENTS)
    uuid = None if domain is None else domain.UUIDString()

    def deliver(event: tuple[Any, ...]) -> None:
        if uuid is None or event[1].UUIDString() == uuid:
            with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
                send.send_nowait(event)

    async with AsyncExitStack() as subscriptions:
        for kind in kinds:
            await subscriptions.enter_async_context(subscribed(connection, kind, deliver))
        yield Events(receive)


class _Fan:
    """All who want one kind of events of one connection: libvirt takes one callback for each, and no second."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.handle: int | None = None
        self.listeners: list[Callable[[tuple[Any, ...]], None]] = []

    def heard(self, _connection: Any, of: Any, *rest: Any) -> None:
        """In libvirt's thread."""
        *said, kind = rest
        for listener in tuple(self.listeners):
            listener((kind, of, *said))


_fans: WeakKeyDictionary[Any, dict[int, _Fan]] = WeakKeyDictionary()
"""By connection and kind."""


@asynccontextmanager
async def subscribed(connection: Any, kind: int, deliver: Callable[[tuple[Any, ...]], None]) -> AsyncIterator[None]:
    """`deliver` is called in trio's thread with each event of all domains, as `events` gives them."""
    token = trio.lowlevel.current_trio_token()

    def heard(event: tuple[Any, ...]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(deliver, event)

    fan = _fans.setdefault(connection, {}).setdefault(kind, _Fan())
    async with fan.lock:
        if fan.handle is None:
            fan.handle = await call(connection.domainEventRegisterAny, None, kind, fan.heard, kind)
        fan.listeners.append(heard)
    try:
        yield
    finally:
        fan.listeners.remove(heard)
        with trio.CancelScope(shield=True):
            async with fan.lock:
                if not fan.listeners and fan.handle is not None:
                    handle, fan.handle = fan.handle, None
                    with suppress(DrystoneError):  # a connection that is gone has no subscriptions
                        await call(connection.domainEventDeregisterAny, handle)


@cache
def start_events() -> None:
    """Once in a process, and before its first connection."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it prints what it also raises
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt events", daemon=True).start()
