"""How often others had their turn while something ran: what holds the loop for long gives them none."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import trio

T = TypeVar("T")


async def with_turns(work: Awaitable[T]) -> tuple[T, int]:
    """What the work gives, and the turns of somebody else meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        result = await work
        nursery.cancel_scope.cancel()
    return result, turns
