"""The answers to errors: those of the store and of the object layer are given their status, and words, here alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.objects.errors import (
    AccessError,
    BadVersionError,
    LinkError,
    LinkTrouble,
    MarkerError,
    NotVersionedError,
    OwnershipError,
    QuotaError,
    RangeError,
    SegmentError,
    ShortError,
    SignatureError,
    TooLargeError,
    VersionsLocationError,
    VersionsRemainError,
)
from gateway.objects.links import LOOP_MAX
from gateway.objects.versions.names import MARKER_TYPE
from gateway.swift.protocol.errors import PLAIN, Fields, RefusedError, UnauthorizedError
from gateway.swift.protocol.locations import object_path
from store.core.errors import (
    CallerError,
    ConflictError,
    DigestError,
    DrystoneError,
    FullError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    RetryableError,
)

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (MarkerError, 404),
    (NotFoundError, 404),
    (SegmentError, 409),
    (ConflictError, 409),
    (PreconditionError, 412),
    (VersionsLocationError, 412),
    (TooLargeError, 413),
    (DigestError, 422),
    (ShortError, 499),
    (InvalidError, 400),
    (CallerError, 400),
    (FullError, 507),
    (RetryableError, 503),
)


def cause(error: BaseException) -> BaseException:
    """An error without the groups that nurseries wrap it in; of several, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def refusal(error: BaseException) -> RefusedError | None:
    """The answer to an error, or None where it is nobody's expectation (damage, a bug) and must be logged."""
    error = cause(error)
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, DrystoneError):
        for kind, say in _WORDS.items():
            if isinstance(error, kind):
                return say(error)
        for fault, status in _STATUS:
            if isinstance(error, fault):
                return RefusedError(status)
    return None


def refused(error: CallerError | RefusedError) -> RefusedError:
    """The answer to what is the caller's fault."""
    return refusal(error) or RefusedError(400)


def _marker(error: MarkerError) -> RefusedError:
    fields = [(b"x-object-version-id", error.version.encode())]
    if error.made:
        return RefusedError(404, headers=fields)
    return RefusedError(404, b"", fields, kind=MARKER_TYPE.encode())


def _link(error: LinkError) -> RefusedError:
    fields: Fields = [(b"content-location", object_path(*error.path).encode())] if error.path else []
    text = {
        LinkTrouble.MISSING: "X-Symlink-Target does not exist",
        LinkTrouble.DISAGREE: "X-Symlink-Target-Etag headers do not match",
        LinkTrouble.LOOP: f"Too many levels of symbolic links, maximum allowed is {LOOP_MAX}",
        LinkTrouble.ETAG: f"Object Etag '{error.found}' does not match X-Symlink-Target-Etag header '{error.wanted}'",
    }
    return RefusedError(409, text[error.why], fields, kind=PLAIN)


_WORDS: dict[type[DrystoneError], Callable[[Any], RefusedError]] = {
    SignatureError: lambda _: UnauthorizedError("401 Unauthorized: Temp URL invalid\n"),
    AccessError: lambda error: RefusedError(403) if error.known else UnauthorizedError(),
    QuotaError: lambda error: RefusedError(413, str(error)),
    RangeError: lambda error: RefusedError(416, headers=[(b"content-range", b"bytes */%d" % error.size)]),
    MarkerError: _marker,
    LinkError: _link,
    OwnershipError: lambda error: RefusedError(409, str(error), kind=PLAIN),
    VersionsRemainError: lambda _: RefusedError(409, "Delete all versions before deleting container.", kind=PLAIN),
    NotVersionedError: lambda _: RefusedError(400, "version-aware operations require that the container is versioned"),
    BadVersionError: lambda _: RefusedError(400, "Invalid version parameter"),
}
"""Errors that have words of their own here."""
