"""Times as stock nova shows them."""

from __future__ import annotations

from gateway.rest.times import shown_us


def time_of(us: int) -> str | None:
    """Microseconds since the epoch as text, with six digits behind the point and no zone; None for 0."""
    return shown_us(us) if us else None
