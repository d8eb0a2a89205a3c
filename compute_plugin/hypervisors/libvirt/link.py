"""A connection to a daemon that may vanish and return at any time: it is opened anew when it is needed next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import outcome
import structlog
import trio

from compute_plugin.hypervisors.libvirt.connection import call, open_connection, watch_loss
from compute_plugin.hypervisors.libvirt.resuming import keep_running
from store.blocks.bell import Bell
from store.core.errors import DrystoneError, RetryableError

log = structlog.get_logger()

AGAIN_SECONDS: Final = 1.0
"""A daemon that is away is looked for so often."""


OPEN_SECONDS: Final = 20.0
"""A daemon that hangs takes a connection, and says nothing."""
PING_SECONDS: Final = 5.0
PING_PATIENCE: Final = 15.0
"""The daemon is asked for its version so often, and given up when it has not said it so long. libvirt has questions of
its own for that (keep-alive), but its client of 9.0 may bring the process down when they are not answered while others
wait."""


class Opened:
    """One connection, until the daemon goes away."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.changed = Bell()
        """Rung when the daemon is gone, and by whoever uses it."""
        self._loss = watch_loss(connection)

    @property
    def is_gone(self) -> bool:
        return self._loss.is_set()

    def lose(self) -> None:
        self._loss.set()
        self.changed.ring()


class _Attempt:
    """To open a connection: one that hangs is waited for by whoever comes next, since it cannot be given up."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.outcome: outcome.Value[Any] | outcome.Error | None = None

    async def run(self, open_: Callable[[str], Awaitable[Any]], uri: str) -> None:
        self.outcome = await outcome.acapture(open_, uri)
        self.done.set()


class Link:
    """To the hypervisor at a URI. `keep` has to run."""

    def __init__(
        self, uri: str, open_: Callable[[str], Awaitable[Any]] = open_connection, *, resumes: bool = True
    ) -> None:
        """`resumes`: whether guests that I/O errors have paused are made to go on."""
        self.uri = uri
        self._resumes = resumes
        self._open = open_
        self._opened: Opened | None = None
        self._attempt: _Attempt | None = None
        self._lock = trio.Lock()

    async def connection(self) -> Any:
        """libvirt's. Raises RetryableError where nobody answers."""
        return (await self.opened()).connection

    async def opened(self) -> Opened:
        """Raises RetryableError where nobody answers."""
        async with self._lock:
            opened = self._opened
            if opened is not None and not opened.is_gone and not await _is_alive(opened.connection):
                opened.lose()
            if opened is not None and opened.is_gone:
                self._opened = None
                await _close_if_dead(opened.connection)
            if self._opened is None:
                self._opened = await self._open_anew()
            return self._opened

    async def _open_anew(self) -> Opened:
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = _Attempt()
            trio.lowlevel.spawn_system_task(attempt.run, self._open, self.uri)
        with trio.move_on_after(OPEN_SECONDS):
            await attempt.done.wait()
        if attempt.outcome is None:
            raise RetryableError(f"the hypervisor at {self.uri} does not answer: it hangs")
        self._attempt = None
        opened = Opened(attempt.outcome.unwrap())
        token = trio.lowlevel.current_trio_token()

        def closed(_connection: Any, _reason: int, _: Any) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(opened.lose)

        with suppress(DrystoneError):  # a driver within the process is never closed
            await call(opened.connection.registerCloseCallback, closed, None)
        return opened

    async def keep(self) -> None:
        """Have guests go on that I/O errors have paused, whenever there is a daemon, for ever."""
        said = ""
        while True:
            try:
                opened = await self.opened()
            except RetryableError as error:
                if str(error) != said:
                    log.warning("no hypervisor answers", uri=self.uri, why=str(error))
                    said = str(error)
                await trio.sleep(AGAIN_SECONDS)
                continue
            if said:
                log.info("the hypervisor answers again", uri=self.uri)
                said = ""
            await _watch(opened, self._resumes)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None and not opened.is_gone:  # else somebody may wait in it for ever
            with suppress(DrystoneError):
                await call(opened.connection.close)
            opened.lose()


@asynccontextmanager
async def linked(link: Link) -> AsyncIterator[Link]:
    """Keep it, as long as the context lasts."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.keep)
        try:
            yield link
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await link.close()


async def _watch(opened: Opened, resumes: bool) -> None:
    """Until the daemon is gone, or something fails."""

    async def run() -> None:
        try:
            await keep_running(opened.connection)
        except* DrystoneError as errors:
            if not opened.is_gone:
                log.warning("guests that volumes have paused are looked for anew", why=str(errors.exceptions[0]))
                await trio.sleep(AGAIN_SECONDS)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        if resumes:
            nursery.start_soon(run)
        nursery.start_soon(_ping, opened)
        while not opened.is_gone:
            await opened.changed.wait()
        nursery.cancel_scope.cancel()


async def _ping(opened: Opened) -> None:
    """Until the daemon does not answer."""
    while True:
        await trio.sleep(PING_SECONDS)
        ask = partial(outcome.capture, opened.connection.getLibVersion)
        with trio.move_on_after(PING_PATIENCE) as waiting:
            await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
        if waiting.cancelled_caught:
            opened.lose()


async def _is_alive(connection: Any) -> bool:
    try:
        return bool(await call(connection.isAlive))
    except DrystoneError:
        return False


async def _close_if_dead(connection: Any) -> None:
    """One that a daemon has that hangs stays as it is: who waits in it may come back."""
    if not await _is_alive(connection):
        with suppress(DrystoneError):
            await call(connection.unregisterCloseCallback)
        with suppress(DrystoneError):
            await call(connection.close)
