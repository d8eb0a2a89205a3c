"""Exceptions of several tasks at once."""

from __future__ import annotations


def first(error: BaseException) -> BaseException:
    """The first that is no group, for people who are told of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
