"""Errors as nova and cinder tell them: an object under a name for its status (nova/api/openstack/wsgi.py, Fault)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.rest.answers import Asked, answer, for_later, with_challenge
from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from gateway.rest.microversions import VersionRangeError
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError

NAMES: Final[Mapping[int, str]] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""That both have."""


class Faults:
    """Of one service."""

    def __init__(self, names: Mapping[int, str] = NAMES) -> None:
        """`names`: by status; any other is a computeFault, in cinder, too."""
        self._names = names

    def fault(self, status: int, message: str, **more: Any) -> Response:
        """An error."""
        name = self._names.get(status, "computeFault")
        return answer({name: {"code": status, "message": message, **more}}, status)

    def refusal(self, error: Exception, call: Asked) -> Response | None:
        """The answer to an error that any service may raise; None for any other."""
        match error:
            case UnauthorizedError():
                return with_challenge(self.fault(401, "The request you have made requires authentication."), call)
            case ForbiddenError():
                return self.fault(403, f"Policy doesn't allow {error} to be performed.")
            case NotFoundError():
                return self.fault(404, str(error))
            case VersionRangeError():
                return self.fault(406, str(error))
            case ConflictError():
                return self.fault(409, str(error))
            case TooLargeError():
                return self.fault(413, str(error))
            case InvalidError():
                return self.fault(400, str(error))
            case RetryableError():
                return for_later(self.fault(503, "The service cannot do this now; try again."))
            case HTTPException(status_code=404):
                return self.fault(404, "The resource could not be found.")
            case HTTPException(status_code=status, headers=headers):
                said = error.detail if status != 405 else "This method is not served at this URL."
                response = self.fault(status, said)
                response.headers.update(headers or {})
                return response
        return None
