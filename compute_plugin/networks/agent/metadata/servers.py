"""`Servers`: one that answers in each namespace of DHCP that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
import trio

from compute_plugin.networks.agent.metadata.asking import Answers
from compute_plugin.networks.agent.metadata.serving import listening, serve
from compute_plugin.networks.plan import names
from compute_plugin.networks.records.records import Records

_log = structlog.get_logger(__name__)


class Servers:
    """Run in a nursery."""

    def __init__(self, nursery: trio.Nursery, records: Callable[[], Records], answers: Answers) -> None:
        self._nursery = nursery
        self._records = records
        self._answers = answers
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
            made = listening(name)
        except OSError as error:
            _log.warning("metadata cannot be told", space=name, error=str(error))
            return
        scope = trio.CancelScope()
        self._running[name] = (number, scope)

        async def run() -> None:
            with scope:
                await serve(made, name.removeprefix(names.DHCP_SPACES), self._records, self._answers)

        self._nursery.start_soon(run)
