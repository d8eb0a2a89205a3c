"""Answers in neutron's form, and which status each error has."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from compute_plugin.networks.errors import BadRequestError, InUseError, MissingError
from compute_plugin.networks.v2.frame.call import Call
from gateway.rest.answers import answer, for_later, with_challenge
from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from store.core.errors import ConflictError, InvalidError, NotFoundError, PreconditionError, RetryableError


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            return with_challenge(
                fault(401, "HTTPUnauthorized", "The request you have made requires authentication."), call
            )
        case ForbiddenError():
            return fault(403, "PolicyNotAuthorized", f"rule:{error} is disallowed by policy")
        case MissingError():
            return fault(404, error.type, str(error))
        case NotFoundError():
            return fault(404, "HTTPNotFound", str(error))
        case InUseError():
            return fault(409, error.type, str(error))
        case ConflictError():
            return fault(409, "Conflict", str(error))
        case PreconditionError():
            return fault(412, "RevisionNumberConstraintFailed", str(error))
        case TooLargeError():
            return fault(413, "HTTPRequestEntityTooLarge", str(error))
        case BadRequestError():
            return fault(400, error.type, str(error))
        case InvalidError():
            return fault(400, "HTTPBadRequest", str(error))
        case RetryableError():
            return for_later(fault(503, "ServiceUnavailable", "The service cannot do this now; try again."))
        case HTTPException(status_code=404):
            return fault(404, "HTTPNotFound", "The resource could not be found.")
        case HTTPException(status_code=status, headers=headers):
            response = fault(status, "HTTPMethodNotAllowed", "This method is not served at this URL.")
            response.headers.update(headers or {})
            return response
    return None


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return fault(500, "HTTPInternalServerError", "Request Failed: internal server error while processing your request.")


def fault(status: int, type_: str, message: str) -> Response:
    """An error in neutron's form."""
    return answer({"NeutronError": {"type": type_, "message": message, "detail": ""}}, status)
