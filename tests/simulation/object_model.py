"""What an object may be: a register of which some writes have no known outcome.

Writers of one name take turns here (races for one name are tested by themselves), so the register has one current value
and some that are pending: writes that began, and whose end is not known. A reader may be shown the current value or a
pending one, or any that came while it read. A value that was pending and is shown is current from then on; one that a
later acknowledged write has overtaken can never be shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Value:
    """One version of an object. Its data are drawn from `seed`."""

    mark: str
    """Unique; kept in the object's headers."""
    seed: int
    size: int
    expires_at: int | None = None

    def data(self) -> bytes:
        return Random(self.seed).randbytes(self.size)


@dataclass
class Register:
    """One name. None stands for no object."""

    current: Value | None = None
    pending: set[Value | None] = field(default_factory=set)
    readers: list[set[Value | None]] = field(default_factory=list)

    def begin(self, value: Value | None) -> None:
        self.pending.add(value)
        for allowed in self.readers:
            allowed.add(value)

    def did(self, value: Value | None) -> None:
        self.current = value
        self.pending.clear()

    def did_not(self, value: Value | None) -> None:
        self.pending.discard(value)

    def reading(self) -> set[Value | None]:
        """Begin to read: the set of what may be shown grows while the read is open. End with `read`."""
        allowed = {self.current, *self.pending}
        self.readers.append(allowed)
        return allowed

    def read(self, allowed: set[Value | None]) -> None:
        self.readers = [other for other in self.readers if other is not allowed]

    def shown(self, value: Value | None) -> None:
        """With no write under way, this was shown: it is decided."""
        self.pending.discard(value)
        self.current = value


def find(allowed: set[Value | None], mark: str | None, now: float) -> tuple[bool, Value | None]:
    """(whether it is right to see an object with this mark, or none; the value that it is)."""
    for value in allowed:
        if value is not None and value.mark == mark:
            return True, value
    if mark is None:
        expired = [value for value in allowed if value is not None and (value.expires_at or 1 << 60) <= now]
        if expired:
            return True, max(expired, key=lambda value: value.seed)
        return None in allowed, None
    return False, None
