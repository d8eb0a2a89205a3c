"""Answers in nova's form, and which status each error has."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from compute_plugin.hypervisors.interface import UnsupportedError
from compute_plugin.v2.frame.call import Call
from gateway.rest.errors import ForbiddenError, OverLimitError, TooLargeError, UnauthorizedError
from gateway.rest.microversions import VersionRangeError
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError

NAMES: Final = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "notAcceptable",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def answer(content: Any, status: int = 200) -> Response:
    """JSON in ASCII: names may hold what no other encoding can carry."""
    return Response(json.dumps(content).encode(), status, media_type="application/json")


def accepted() -> Response:
    """It is being done."""
    return Response(status_code=202)


def nothing() -> Response:
    """Done, and there is nothing to say."""
    return Response(status_code=204)


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            response = fault(401, "The request you have made requires authentication.")
            response.headers["WWW-Authenticate"] = f'Keystone uri="{call.origin}/identity"'
            return response
        case OverLimitError():
            return fault(403, str(error))
        case ForbiddenError():
            return fault(403, f"Policy doesn't allow {error} to be performed.")
        case NotFoundError():
            return fault(404, str(error))
        case VersionRangeError():
            return fault(406, str(error))
        case ConflictError():
            return fault(409, str(error))
        case TooLargeError():
            return fault(413, str(error))
        case UnsupportedError():
            return fault(501, str(error))
        case InvalidError():
            return fault(400, str(error))
        case RetryableError():
            response = fault(503, "The service cannot do this now; try again.")
            response.headers["Retry-After"] = "1"
            return response
        case HTTPException(status_code=404):
            return fault(404, "The resource could not be found.")
        case HTTPException(status_code=status, headers=headers):
            response = fault(status, error.detail if status != 405 else "This method is not served at this URL.")
            response.headers.update(headers or {})
            return response
    return None


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return fault(500, "Unexpected API Error: the server could not fulfil the request.")


def fault(status: int, message: str, **more: Any) -> Response:
    """An error in nova's form."""
    return answer({NAMES.get(status, "computeFault"): {"code": status, "message": message, **more}}, status)
