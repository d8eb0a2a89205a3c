"""A task beside a block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVarTuple

import trio

Arguments = TypeVarTuple("Arguments")


@asynccontextmanager
async def beside(task: Callable[[*Arguments], Awaitable[object]], *arguments: *Arguments) -> AsyncIterator[None]:
    """Runs `task` while the block runs, and cancels it then. What the block raises comes out as it is, and in no group:
    whoever wrote the block knows of no task. `task` itself should raise nothing."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task, *arguments)
        try:
            yield
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
