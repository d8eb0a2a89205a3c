"""Refusals that every API service shares; everything else they raise is one of `store.core.errors`."""

from __future__ import annotations

from store.core.errors import CallerError, InvalidError


class UnauthorizedError(CallerError):
    """It is not known who asks: no token, a token that does not hold, a wrong password. Never says which."""


class ForbiddenError(CallerError):
    """It is known who asks, and they may not."""


class TooLargeError(InvalidError):
    """The body is over the limit."""


class NotAcceptableError(CallerError):
    """The client asks for a version of the API that is not spoken here."""


class OverLimitError(ForbiddenError):
    """A project can have no more of something. The message is for the client."""
