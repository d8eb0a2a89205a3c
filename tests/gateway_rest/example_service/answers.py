"""Answers in the service's form, and which status each error has."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from gateway.rest.microversions import VersionRangeError
from gateway.rest.quota_records import OverQuotaError
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError
from tests.gateway_rest.example_service.service import Call


def refusal(error: Exception, _: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            return _fault("unauthorized", 401, "The request you have made requires authentication.")
        case ForbiddenError():
            return _fault("forbidden", 403, f"Policy doesn't allow {error} to be performed.")
        case NotFoundError():
            return _fault("itemNotFound", 404, str(error))
        case VersionRangeError(least=least, most=most):
            return _fault("notAcceptable", 406, str(error), min_version=str(least), max_version=str(most))
        case ConflictError():
            return _fault("conflictingRequest", 409, str(error))
        case OverQuotaError():
            return _fault("overLimit", 413, str(error))
        case TooLargeError():
            return _fault("badRequest", 413, str(error))
        case InvalidError():
            return _fault("badRequest", 400, str(error))
        case RetryableError():
            response = _fault("serviceUnavailable", 503, "The service cannot do this now; try again.")
            response.headers["Retry-After"] = "1"
            return response
        case HTTPException(status_code=status, headers=headers):
            response = _fault("itemNotFound" if status == 404 else "badMethod", status, "This is not served here.")
            response.headers.update(headers or {})
            return response
    return None


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return _fault("exampleFault", 500, "An unexpected error prevented the server from fulfilling your request.")


def _fault(name: str, status: int, message: str, **more: Any) -> Response:
    return JSONResponse({name: {"code": status, "message": message, **more}}, status)
