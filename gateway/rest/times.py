"""Times as OpenStack's APIs write them: ISO 8601 in UTC, with six digits behind the point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from store.core.errors import InvalidError

LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def shown(seconds: int) -> str:
    """Seconds since the epoch as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def read(name: str, text: str) -> int:
    """Whole seconds since the epoch; a time without a zone is in UTC. Raises InvalidError that says `name`."""
    return read_us(name, text) // 1_000_000


def read_us(name: str, text: str) -> int:
    """The same in microseconds."""
    wrong = InvalidError(f"{name}: a time such as 2027-01-31T12:00:00.000000Z")
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong from error
    us = ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    if not 1_000_000 <= us < (LATEST_S + 1) * 1_000_000:
        raise wrong
    return us


def shown_us(us: int) -> str:
    """Microseconds since the epoch as text, without a zone as some of the APIs leave it out."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%f")
