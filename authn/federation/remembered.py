"""What a provider said, remembered for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import trio

from authn.federation.provider_http import ProviderAwayError
from store.core.clock import Clock

T = TypeVar("T")

FRESH_SECONDS: Final = 600.0
USABLE_SECONDS: Final = 24 * 3600.0
"""So long it serves while the provider is away."""
BETWEEN_SECONDS: Final = 30.0
"""Between two askings, whatever tokens with unknown keys come."""
AWAY_SECONDS: Final = 5.0
"""After a failure nobody else waits for the same one."""


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    value: T
    at: float


class Remembered(Generic[T]):
    """One value that `ask` brings; one asking at a time, and few."""

    def __init__(self, clock: Clock, ask: Callable[[], Awaitable[T]]) -> None:
        self._clock = clock
        self._ask = ask
        self._lock = trio.Lock()
        self._held: _Held[T] | None = None
        self._failed: _Held[ProviderAwayError] | None = None

    async def get(self) -> T:
        """The value, asked for anew where it is old. Raises ProviderAwayError where there is none that is usable."""
        if (fresh := self._within(FRESH_SECONDS)) is not None:
            return fresh.value
        async with self._lock:
            if (fresh := self._within(FRESH_SECONDS)) is not None:
                return fresh.value
            try:
                return await self._renewed()
            except ProviderAwayError:
                if (usable := self._within(USABLE_SECONDS)) is None:
                    raise
                return usable.value

    async def newer(self) -> T:
        """The value, asked for anew unless that was done a moment ago: for who misses something in it. Raises
        ProviderAwayError."""
        async with self._lock:
            recent = self._within(BETWEEN_SECONDS)
            return recent.value if recent is not None else await self._renewed()

    async def _renewed(self) -> T:
        failed = self._failed
        if failed is not None and self._age(failed) < AWAY_SECONDS:
            raise ProviderAwayError(str(failed.value))
        try:
            value = await self._ask()
        except ProviderAwayError as error:
            self._failed = _Held(error, self._clock.monotonic())
            raise
        self._held, self._failed = _Held(value, self._clock.monotonic()), None
        return value

    def _within(self, seconds: float) -> _Held[T] | None:
        return self._held if self._held is not None and self._age(self._held) < seconds else None

    def _age(self, held: _Held[T] | _Held[ProviderAwayError]) -> float:
        return self._clock.monotonic() - held.at
