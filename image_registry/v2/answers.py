"""Answers in Glance's form, and which status each error has.

Errors are pages for people (HTML) unless the client asks for something else, as WebOb makes them for stock Glance:
clients take the message out of either.
"""

from __future__ import annotations

import html
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.rest.answers import answer, for_later, with_challenge
from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from gateway.rest.quota_records import OverQuotaError
from image_registry.errors import (
    AttributeForbiddenError,
    GoneError,
    MediaTypeError,
    RangeError,
)
from image_registry.formats.errors import ImageRefusedError
from image_registry.v2.call import Call
from store.core.errors import ConflictError, DigestError, FullError, InvalidError, NotFoundError, RetryableError


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            return with_challenge(
                _error(call, 401, "This server could not verify that you are authorized to access it."), call
            )
        case ForbiddenError():
            return _error(call, 403, f"You are not authorized to complete {error} action.")
        case AttributeForbiddenError():
            return _error(call, 403, str(error))
        case NotFoundError():
            return _error(call, 404, str(error))
        case ConflictError():
            return _error(call, 409, str(error))
        case GoneError():
            return _error(call, 410, str(error))
        case OverQuotaError() | TooLargeError() | FullError():
            return _error(call, 413, str(error))
        case ImageRefusedError():
            return _error(call, 415, str(error))
        case MediaTypeError(accepted=accepted):
            response = _error(call, 415, str(error))
            if accepted:
                response.headers["Accept-Patch"] = accepted
            return response
        case RangeError(size=size):
            response = _error(call, 416, str(error))
            response.headers["Content-Range"] = f"bytes */{size}"
            return response
        case InvalidError() | DigestError():
            return _error(call, 400, str(error))
        case RetryableError():
            return for_later(_error(call, 503, "The service cannot do this now; try again."))
        case HTTPException(status_code=404):
            return _error(call, 404, "The resource could not be found.")
        case HTTPException(status_code=status, headers=headers):
            response = _error(call, status, "The method is not allowed for this resource.")
            response.headers.update(headers or {})
            return response
    return None


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return Response("An unexpected error prevented the server from fulfilling your request.", 500)


def _error(call: Call, status: int, message: str) -> Response:
    title = HTTPStatus(status).phrase
    accepted = call.request.headers.get("accept", "*/*")
    if not accepted or "text/html" in accepted or "*/*" in accepted:
        said = html.escape(message)
        page = (
            f"<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n  <h1>{status} {title}</h1>\n"
            f"  {said}<br /><br />\n\n\n </body>\n</html>"
        )
        return Response(page, status, media_type="text/html")
    if "application/json" in accepted:
        return answer({"message": f"{message}<br /><br />\n\n\n", "code": f"{status} {title}", "title": title}, status)
    return Response(f"{status} {title}\n\n{message}\n\n", status, media_type="text/plain")
