"""What goes wrong between processes, and how errors travel: by the name of their class, and in words.

Only errors of `store.core.errors` that one text makes are known by name; what a newer program raises besides arrives as
the nearest that is true of everything retryable.
"""

from __future__ import annotations

from typing import Final

from store.core.errors import (
    BarredError,
    BusyError,
    ConflictError,
    DamageError,
    DeviceError,
    DigestError,
    DrystoneError,
    FencedError,
    FullError,
    InvalidError,
    NewerError,
    NotFoundError,
    PreconditionError,
    ReplacedError,
    RetryableError,
    StaleEpochError,
)


class ProtocolError(DrystoneError):
    """The other side does not keep to the protocol: the link to it is closed."""


class UnreachableError(RetryableError):
    """The other process cannot be reached, or does not answer. What it was asked for may have taken effect, unless this
    is raised where it was to be asked."""


_TRAVEL: Final[dict[str, type[DrystoneError]]] = {
    kind.__name__: kind
    for kind in (
        BarredError,
        BusyError,
        ConflictError,
        DamageError,
        DeviceError,
        DigestError,
        FencedError,
        FullError,
        InvalidError,
        NewerError,
        NotFoundError,
        PreconditionError,
        ReplacedError,
        StaleEpochError,
        UnreachableError,
    )
}
_TEXT_MAX: Final = 2000


def pack_error(error: DrystoneError) -> tuple[str, str]:
    """The name and the words of an error; an error of a class that does not travel goes as the nearest above it."""
    for kind in type(error).__mro__:
        if _TRAVEL.get(kind.__name__) is kind:
            return kind.__name__, str(error)[:_TEXT_MAX]
    return "", f"{type(error).__name__}: {error}"[:_TEXT_MAX]


def unpack_error(name: object, text: object) -> DrystoneError:
    """The error that was packed; a RetryableError where its class is not known here."""
    kind = _TRAVEL.get(name) if isinstance(name, str) else None
    return (kind or RetryableError)(str(text))
