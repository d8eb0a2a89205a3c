"""Objects that end by themselves: X-Delete-At and X-Delete-After."""

from __future__ import annotations

from gateway.swift.config import Config
from gateway.swift.protocol.errors import bad_request
from gateway.swift.protocol.flags import is_true
from gateway.swift.protocol.request import Request

LATEST = 9_999_999_999
"""The last second that a ten-digit timestamp can name."""


def expires_at(request: Request, now: float) -> int | None:
    """The second from which the object is gone, or None. Raises RefusedError (400) for the past and for garbage."""
    headers = request.headers
    after = headers.get(b"x-delete-after")
    at = headers.get(b"x-delete-at")
    if after is None and not at:
        return None
    if after is not None:
        ends = min(max(int(now + _integer(after, "X-Delete-After")), 0), LATEST)
        if ends <= now:
            raise bad_request("X-Delete-After in past")
        return ends
    ends = min(max(_integer(at or b"", "X-Delete-At"), 0), LATEST)
    if ends <= now:
        raise bad_request("X-Delete-At in past")
    return ends


def expired(request: Request, config: Config) -> bool:
    """Whether the request may see what has ended and is not collected yet, and wants to."""
    return config.open_expired and is_true(request.headers.get(b"x-open-expired"))


def _integer(value: bytes, name: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise bad_request(f"Non-integer {name}") from None
    return max(min(number, 10 * LATEST), -10 * LATEST)  # so that adding the present time stays exact
