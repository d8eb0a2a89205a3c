"""Times of volumes as they are typed: how long, and when."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from store.core.errors import InvalidError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd]?)")
WINDOW_MAX_US: Final = 30 * 86400 * 1_000_000


def parse_duration(text: str) -> int:
    """Microseconds: `90s`, `15m`, `2h`, `1d`; a number alone is seconds. Raises InvalidError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InvalidError(f"{text!r} is no duration: say seconds, or s, m, h or d, like 90s or 15m")
    return int(match[1]) * _UNITS[match[2] or "s"] * 1_000_000


def parse_time(text: str, now_us: int) -> int:
    """Microseconds since the Unix epoch: `2026-11-29 16:05:30` (UTC, unless it says another zone), or `5m ago`. Raises
    InvalidError."""
    if text.endswith(" ago"):
        return now_us - parse_duration(text.removesuffix(" ago").strip())
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(f"{text!r} is no time: say '2026-11-29 16:05:30' (UTC), or '5m ago'") from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1e6)


def show_time(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
