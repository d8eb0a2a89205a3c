"""Errors in cinder's form, and which status each has."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import for_later
from gateway.rest.faults import Faults
from gateway.rest.quota_records import OverQuotaError
from gateway.volumes.call import Call

FAULTS: Final = Faults()


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case OverQuotaError():
            return for_later(FAULTS.fault(413, str(error), retryAfter="0"), 0)
    return FAULTS.refusal(error, call)


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return FAULTS.fault(500, "An unexpected error prevented the server from fulfilling your request.")
