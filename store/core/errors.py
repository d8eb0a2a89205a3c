"""Errors that say who is to blame and whether a retry is of use.

    DrystoneError
    ├── CallerError            the request itself is wrong: repeating it is useless
    │   ├── NotFoundError      the thing named does not exist
    │   ├── ConflictError      the thing exists, is not empty, or changed meanwhile
    │   ├── PreconditionError  a condition that the caller stated does not hold
    │   ├── DigestError        the bytes are not those that were announced
    │   └── InvalidError       malformed, or over a limit
    ├── RetryableError         the system cannot now: the same request may succeed later
    │   ├── QuorumError        too few replicas answered; carries what each said
    │   ├── FullError          no room for new data (reads and deletes still work)
    │   ├── ReplacedError      a newer version took the place of the one that was being read
    │   ├── BusyError          a bounded queue is full
    │   ├── BarredError        a promise that was given to another writer keeps a row out
    │   └── StaleEpochError    the ring has moved on since the request's devices were chosen
    ├── DamageError            stored bytes are not what was written, here; another copy may serve
    │   └── NewerError         they are what was written, by a newer program, in a form that is not known here
    └── DeviceError            a device refused or failed: it is out until an operator looks

Protocol rooms choose status codes for these in one place each; nothing below them knows a status code.
"""

from __future__ import annotations

from collections.abc import Mapping


class DrystoneError(Exception):
    """Root of all errors that Drystone raises on purpose."""


class CallerError(DrystoneError):
    """The caller's fault; a repetition will fail alike."""


class NotFoundError(CallerError):
    """What was named does not exist."""


class ConflictError(CallerError):
    """What was named is in a state that forbids the request."""


class PreconditionError(CallerError):
    """A condition stated by the caller does not hold."""


class DigestError(CallerError):
    """The bytes that came are not those that were announced."""


class InvalidError(CallerError):
    """The request is malformed or over a limit."""


class RetryableError(DrystoneError):
    """The system's present state forbids it; a later repetition may succeed."""


class QuorumError(RetryableError):
    """Too few replicas of a row or of data answered.

    `answers` maps a device id to the reason it gave, so that one log line shows the whole picture.
    """

    def __init__(self, doing: str, needed: int, got: int, answers: Mapping[int, BaseException]) -> None:
        reasons = "; ".join(f"device {device}: {reason!r}" for device, reason in answers.items())
        super().__init__(f"{doing}: {got} of {needed} needed answers ({reasons or 'no replica answered'})")
        self.needed = needed
        self.got = got
        self.answers = dict(answers)


class FullError(RetryableError):
    """No room for new data."""


class ReplacedError(RetryableError):
    """A newer version came while the old one was being read, and the old one's space is used anew."""


class OutdatedError(RetryableError):
    """What was remembered, and was to be gone by, is another by now; nothing was done."""


class BusyError(RetryableError):
    """A bounded queue is full."""


class BarredError(RetryableError):
    """A replica has promised to take nothing below a stamp, and the version that was to be written is below it."""


class StaleEpochError(RetryableError):
    """The request carries a layout epoch below the one that a device enforces."""


class FencedError(DrystoneError):
    """A newer writer has shut the data to those of lower epochs, for good."""


class DamageError(DrystoneError):
    """Stored bytes fail their checksum, or are missing where they must be."""


class NewerError(DamageError):
    """Stored bytes are of a version above those known here. To be left as they are: the newer program reads them."""


class DeviceError(DrystoneError):
    """A device is out: failed syncs, not ours, unknown format."""
