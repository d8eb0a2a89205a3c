"""Refusals of identity; everything else it raises is one of `store.core.errors`."""

from __future__ import annotations

from gateway.rest.errors import ForbiddenError, UnauthorizedError
from store.core.errors import RetryableError

__all__ = ["ForbiddenError", "UnauthorizedError", "UnreadableError"]


class UnreadableError(RetryableError):
    """What is needed is stored in a form that is not known here: a newer program wrote it, and may do what is asked."""
