"""What can go wrong between the server, the client and the application."""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):  # noqa: N818 - it names what happened
    """The client's bytes are not acceptable: answer `status`, say `reason`, close the connection."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {HTTPStatus(status).phrase}: {reason}")
        self.status = status
        self.reason = reason


class ClientDisconnected(ConnectionError):  # noqa: N818 - it names what happened
    """`send()` was called for a client that is no longer there."""


class ResponseError(RuntimeError):
    """The application broke the ASGI protocol or its own content-length."""


class TimedOut(Exception):  # noqa: N818 - it names what happened
    """A transport waited for longer than it was allowed to."""


class Interrupted(Exception):  # noqa: N818 - it names what happened
    """A waiting read was woken without data, because something else became more important."""
