"""Errors in nova's form, and which status each has."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.hypervisors.interface import UnsupportedError
from compute_plugin.v2.frame.call import Call
from gateway.rest.errors import OverLimitError
from gateway.rest.faults import NAMES, Faults

FAULTS: Final = Faults({**NAMES, 406: "notAcceptable"})


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case OverLimitError():
            return FAULTS.fault(403, str(error))
        case UnsupportedError():
            return FAULTS.fault(501, str(error))
    return FAULTS.refusal(error, call)


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return FAULTS.fault(500, "Unexpected API Error: the server could not fulfil the request.")
