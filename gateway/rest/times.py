"""Times as OpenStack's APIs write them: ISO 8601 in UTC, with six digits behind the point."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from store.core.errors import InvalidError

LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999."""


def shown(seconds: int) -> str:
    """Seconds since the epoch as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def read(name: str, text: str) -> int:
    """Whole seconds since the epoch; a time without a zone is in UTC. Raises InvalidError that says `name`."""
    try:
        found = datetime.fromisoformat(text)
        seconds = int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise InvalidError(f"{name}: a time such as 2027-01-31T12:00:00.000000Z") from error
    if not 0 < seconds <= LATEST_S:
        raise InvalidError(f"{name}: a time such as 2027-01-31T12:00:00.000000Z")
    return seconds
