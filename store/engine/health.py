"""Health: whether a device serves, and what was found wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.core.errors import DrystoneError

LINES_MAX = 100


@dataclass
class Health:
    """What is wrong with a device: `damage` has a line for each of the first damages, `failed` takes it out."""

    damage: list[str] = field(default_factory=list)
    damages: int = 0
    failed: DrystoneError | None = None
    broken_index: bool = False
    """The index itself is corrupt: the next start must rebuild it from the log."""

    def check(self) -> None:
        """Raises what took the device out."""
        if self.failed is not None:
            raise self.failed

    def note_damage(self, what: str) -> None:
        """Something that was stored cannot be read."""
        self.damages += 1
        if len(self.damage) < LINES_MAX:
            self.damage.append(what)
