"""Refusals with the names that Neutron's clients know them by (`NeutronError.type`)."""

from __future__ import annotations

from store.core.errors import ConflictError, InvalidError, NotFoundError


class MissingError(NotFoundError):
    """There is no such thing, or none that the caller may see: 404."""

    def __init__(self, type_: str, message: str) -> None:
        """`type_`: such as `NetworkNotFound`."""
        super().__init__(message)
        self.type = type_


class InUseError(ConflictError):
    """It cannot be as things are: 409."""

    def __init__(self, type_: str, message: str) -> None:
        """`type_`: such as `IpAddressInUse`."""
        super().__init__(message)
        self.type = type_


class BadRequestError(InvalidError):
    """It can never be: 400."""

    def __init__(self, type_: str, message: str) -> None:
        """`type_`: such as `InvalidInput`."""
        super().__init__(message)
        self.type = type_
