"""The table in which every loop says what it has done, what is left, and when it last ran into trouble."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import trio

from store.core.clock import Clock
from store.replicator.recent import Recent, ends_in

SAMPLE_SECONDS: Final = 5.0
"""Between two looks at what the loops have done, for their rates of the last minute."""


@dataclass
class Progress:
    """One loop. `left` is -1 where it cannot be known; `lag_s` is how late the loop is with what is due. `bytes` of
    data were written by it. `share` is how much of the present round is behind it, 0 to 1: None where it is in none, or
    cannot tell."""

    name: str
    done: int = 0
    left: int = 0
    failed: int = 0
    lag_s: float = 0.0
    rounds: int = 0
    trouble: str = ""
    started: float = 0.0
    bytes: int = 0
    share: float | None = None
    recent_done: Recent = field(default_factory=Recent, repr=False)
    recent_bytes: Recent = field(default_factory=Recent, repr=False)
    recent_share: Recent = field(default_factory=Recent, repr=False)

    def rate(self, clock: Clock) -> float:
        """Done each second since the loop started."""
        passed = clock.monotonic() - self.started
        return self.done / passed if passed > 0 else 0.0

    def sample(self, now: float) -> None:
        """Note how far it is, for the rates of the last minute."""
        self.recent_done.note(now, self.done)
        self.recent_bytes.note(now, self.bytes)
        self.recent_share.note(now, self.share or 0.0)

    def ends_in(self) -> float | None:
        """Seconds until nothing is left, as things go: None where that cannot be told."""
        if self.share is not None:
            return ends_in(1.0 - self.share, self.recent_share.rate())
        return ends_in(self.left, self.recent_done.rate())


class ProgressTable:
    """All loops of this process, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.loops: dict[str, Progress] = {}

    def loop(self, name: str) -> Progress:
        """The entry of a loop, made when it is first asked for."""
        if name not in self.loops:
            self.loops[name] = Progress(name, started=self._clock.monotonic())
        return self.loops[name]

    async def run(self) -> None:
        """Sample all loops, until cancelled."""
        while True:
            self._sample()
            await trio.sleep(SAMPLE_SECONDS)

    def _sample(self) -> None:
        now = self._clock.monotonic()
        for loop in self.loops.values():
            loop.sample(now)

    def rows(self) -> list[dict[str, object]]:
        """Plain values, for status and metrics."""
        self._sample()
        return [
            {
                "loop": loop.name,
                "done": loop.done,
                "left": loop.left,
                "failed": loop.failed,
                "rounds": loop.rounds,
                "lag_s": round(loop.lag_s, 1),
                "rate": round(loop.rate(self._clock), 2),
                "trouble": loop.trouble,
                "bytes": loop.bytes,
                "share": None if loop.share is None else round(loop.share, 4),
                "minute_rate": round(loop.recent_done.rate(), 2),
                "minute_bytes_rate": round(loop.recent_bytes.rate()),
                "ends_in_s": None if (left := loop.ends_in()) is None else round(left),
            }
            for loop in self.loops.values()
        ]
