"""Following a span of the registry for as long as a process lives, whatever becomes of the registry meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from store.core.errors import RetryableError
from store.registry.interface import CompactedError, Registry
from store.registry.items import Event, Span

log = structlog.get_logger()

AGAIN_SECONDS: Final = 1.0


async def follow(
    registry: Registry,
    span: Span,
    anew: Callable[[], Awaitable[object]],
    each: Callable[[Event], Awaitable[object]],
) -> None:
    """Call `anew` to read what there is, then `each` with every change behind that, in order and without a gap; and
    `anew` once more wherever events may have been missed: they are no longer kept, or the registry was away. What these
    two raise is taken in the same way where it is a RetryableError. Until cancelled."""
    while True:
        try:
            revision = await registry.revision()
            await anew()
            async with registry.watch(span, revision + 1) as events:
                async for event in events:
                    await each(event)
        except CompactedError:
            continue
        except RetryableError as error:
            log.warning("the registry cannot be followed for now", error=str(error))
            await trio.sleep(AGAIN_SECONDS)
