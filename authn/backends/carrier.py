"""Carries bytes from one stream to another for a while."""

from __future__ import annotations

from typing import Final

import trio

_BYTES: Final = 65_536
"""Carried at once."""


class Carrier:
    """One way, for one run. Calling it off loses nothing, unlike a cancellation: what was taken is delivered first, and
    what was not is still there for the next."""

    def __init__(self, source: trio.abc.ReceiveStream, target: trio.abc.SendStream) -> None:
        self._source = source
        self._target = target
        self._called_off = False
        self._waiting = trio.CancelScope()

    async def run(self) -> None:
        """Until it is called off, or either end has ended."""
        try:
            while not self._called_off:
                data = b""
                with trio.CancelScope() as self._waiting:
                    data = bytes(await self._source.receive_some(_BYTES))
                if not data:
                    return
                await self._target.send_all(data)
        except trio.BrokenResourceError:
            return  # ended without a word, which is an end as well

    def call_off(self) -> None:
        self._called_off = True
        self._waiting.cancel()

    @property
    def called_off(self) -> bool:
        return self._called_off
