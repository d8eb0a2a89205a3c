"""`Served`: something that answers in each namespace of DHCP that is there, by this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
import trio

from compute_plugin.networks.plan import names

AGAIN_S: Final = 1.0
"""What ended by itself is opened again after this."""

Serve = Callable[[], Awaitable[None]]
_log = structlog.get_logger(__name__)


class Served:
    """Runs in a nursery."""

    def __init__(self, nursery: trio.Nursery, what: str, opened: Callable[[str, str], Serve]) -> None:
        """`opened` opens sockets in a namespace (with its name, and its network's id) and returns what answers there
        until cancelled, and closes them; raises OSError. `what`: for the log."""
        self._nursery = nursery
        self._what = what
        self._opened = opened
        self._running: dict[str, tuple[int, trio.CancelScope]] = {}

    def follow(self, spaces: Mapping[str, int]) -> None:
        """`spaces`: all namespaces that are there, and which they are: one that was made anew has another number."""
        wanted = {name: number for name, number in spaces.items() if name.startswith(names.DHCP_SPACES)}
        for name, (number, scope) in list(self._running.items()):
            if wanted.get(name) != number:
                scope.cancel()
                del self._running[name]
        for name, number in wanted.items():
            if name not in self._running:
                self._start(name, number)

    def _start(self, name: str, number: int) -> None:
        try:
            serve = self._opened(name, name.removeprefix(names.DHCP_SPACES))
        except OSError as error:
            _log.warning(f"{self._what} cannot be told", space=name, error=str(error))
            return
        scope = trio.CancelScope()
        self._running[name] = (number, scope)

        async def run() -> None:
            with scope:
                await self._again_and_again(name, serve)

        self._nursery.start_soon(run)

    async def _again_and_again(self, name: str, serve: Serve) -> None:
        """One namespace's trouble, such as too many open files, is none of the others'."""
        while True:
            try:
                await serve()
            except* Exception:
                _log.exception(f"{self._what} cannot be told for now", space=name)
            serve = await self._opened_again(name)

    async def _opened_again(self, name: str) -> Serve:
        while True:
            await trio.sleep(AGAIN_S)
            try:
                return self._opened(name, name.removeprefix(names.DHCP_SPACES))
            except OSError as error:
                _log.info(f"{self._what} cannot be told yet", space=name, error=str(error))
