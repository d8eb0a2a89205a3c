"""Refusals that identity adds to the store's errors; everything else it raises is one of `store.core.errors`."""

from __future__ import annotations

from store.core.errors import CallerError, RetryableError


class UnauthorizedError(CallerError):
    """It is not known who asks: no token, a token that does not hold, a wrong password. Never says which."""


class ForbiddenError(CallerError):
    """It is known who asks, and they may not."""


class UnreadableError(RetryableError):
    """What is needed is stored in a form that is not known here: a newer program wrote it, and may do what is asked."""
