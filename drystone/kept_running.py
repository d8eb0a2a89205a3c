"""An agent of this machine is kept running: the process has more to do, so what goes wrong in one never ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from drystone.error_groups import first
from store.core.clock import Clock

log = structlog.get_logger()

PAUSE_S: Final = 1.0
PAUSE_MOST_S: Final = 60.0
"""Before an agent that ended is tried again, and at most."""


async def keep_running(
    what: str, run: Callable[[], Awaitable[None]], tell: Callable[[str], Awaitable[None]], clock: Clock
) -> None:
    """Until cancelled. What goes wrong is logged, and told by `tell`, which goes on until cancelled; then all is tried
    again. `what`: such as `the agent of networks`."""
    pause = PAUSE_S
    while True:
        begun = clock.monotonic()
        why = "it ended"
        try:
            await run()
        except* Exception as group:
            why = repr(first(group))
            log.exception("an agent does not run on this host, for now", agent=what)
        if clock.monotonic() > begun + PAUSE_MOST_S:
            pause = PAUSE_S
        with trio.move_on_after(pause):
            await tell(f"{what} failed and is tried again: {why}")
        pause = min(2 * pause, PAUSE_MOST_S)
