"""Whether the registry answers, asked every few seconds: what status and metrics say of it."""

from __future__ import annotations

from typing import Final

import trio

from store.core.errors import RetryableError
from store.registry import Registry

ASK_SECONDS: Final = 5.0
"""Between two questions, and for an answer."""


class RegistryHealth:
    """`run` it beside a process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.trouble = ""
        """Why it does not answer; empty while it does."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.trouble = await self._ask()
            await trio.sleep(ASK_SECONDS)

    async def _ask(self) -> str:
        with trio.move_on_after(ASK_SECONDS):
            try:
                await self._registry.revision()
            except RetryableError as error:
                return str(error)
            return ""
        return f"no answer in {ASK_SECONDS:.0f} s"
