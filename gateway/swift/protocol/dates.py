"""Times as the protocol writes them."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate
from functools import lru_cache

from store.core.stamp import Stamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> bytes:
    """`Sun, 06 Nov 1994 08:49:37 GMT`. Spelled out here because strftime follows the machine's language."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    ).encode()


def parse_http_date(value: str) -> int | None:
    """Seconds since the epoch, or None where it is no date: a condition that cannot be read is ignored."""
    try:
        parts = parsedate(value)
        return None if parts is None else calendar.timegm((*parts[:6], 0, 0, 0))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def modified_seconds(stamp: Stamp) -> int:
    """The whole second that Last-Modified names: rounded up, so that a copy dated by it is never older."""
    return -(-stamp.time_us // 1_000_000)


def timestamp(stamp: Stamp) -> bytes:
    """`X-Timestamp`: seconds with five decimals, of ten digits."""
    seconds, micros = divmod(stamp.time_us, 1_000_000)
    return b"%010d.%05d" % (seconds, micros // 10)


def iso(stamp: Stamp) -> str:
    """`last_modified` in listings; as fine as `X-Timestamp`."""
    seconds, micros = divmod(stamp.time_us, 1_000_000)
    return f"{_iso_second(seconds)}.{micros // 10 * 10:06}"


@lru_cache(maxsize=4096)
def _iso_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
