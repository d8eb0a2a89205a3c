"""The table in which every loop says what it has done, what is left, and when it last ran into trouble."""

from __future__ import annotations

from dataclasses import dataclass

from store.core.clock import Clock


@dataclass
class Progress:
    """One loop. `left` is -1 where it cannot be known; `lag_s` is how late the loop is with what is due."""

    name: str
    done: int = 0
    left: int = 0
    failed: int = 0
    lag_s: float = 0.0
    rounds: int = 0
    trouble: str = ""
    started: float = 0.0

    def rate(self, clock: Clock) -> float:
        """Done each second since the loop started."""
        passed = clock.monotonic() - self.started
        return self.done / passed if passed > 0 else 0.0


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

    def rows(self) -> list[dict[str, object]]:
        """Plain values, for status and metrics."""
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
            }
            for loop in self.loops.values()
        ]
