"""Refusals of the image registry, besides those of `gateway.rest.errors` and `store.core.errors`."""

from __future__ import annotations

from store.core.errors import CallerError


class GoneError(CallerError):
    """The image was deleted while its bits were received."""


class MediaTypeError(CallerError):
    """A body of this type is not taken here; `accepted` are, by PATCH."""

    def __init__(self, message: str, accepted: str = "") -> None:
        super().__init__(message)
        self.accepted = accepted


class RangeError(CallerError):
    """There is nothing of the range that was asked for; the image has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__("The range cannot be satisfied.")
        self.size = size


class AttributeForbiddenError(CallerError):
    """An attribute that clients may not set, or not now."""
