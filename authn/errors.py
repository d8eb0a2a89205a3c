"""Refusals that identity adds to the store's errors; everything else it raises is one of `store.core.errors`."""

from __future__ import annotations

from store.core.errors import CallerError


class UnauthorizedError(CallerError):
    """It is not known who asks: no token, a token that does not hold, a wrong password. Never says which."""


class ForbiddenError(CallerError):
    """It is known who asks, and they may not."""
