"""Answers in keystone's form, and which status each error has."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response

from authn.backends.backend import DirectoryAwayError
from authn.errors import UnreadableError
from authn.federation.provider_http import ProviderAwayError
from authn.snapshot import IdentitySnapshot
from authn.v3.call import Call
from gateway.rest.answers import answer, for_later, with_challenge
from gateway.rest.errors import ForbiddenError, TooLargeError, UnauthorizedError
from gateway.rest.listing import Page, Row, here
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError

_log = structlog.get_logger(__name__)


def listed(call: Call, noun: str, found: Page | list[Row], *, truncated: bool = False) -> Response:
    """A list: one page of it, or all rows in their order. `truncated`: there is more, which cannot be told."""
    rows, follows = (found.rows, found.follows) if isinstance(found, Page) else (found, None)
    document = {noun: rows, "links": {"next": follows, "self": here(call), "previous": None}}
    return answer(document | ({"truncated": True} if truncated else {}))


def domain_reference(snapshot: IdentitySnapshot, domain_id: str) -> dict[str, str]:
    """How tokens and receipts name a domain."""
    return {"id": domain_id, "name": snapshot.domains.require(domain_id).name}


def refusal(error: Exception, call: Call) -> Response | None:
    """The answer to an error that somebody foresaw; None for any other."""
    match error:
        case UnauthorizedError():
            return with_challenge(_error(401, str(error) or "The request you have made requires authentication."), call)
        case ForbiddenError():
            return _error(403, f"You are not authorized to perform the requested action: {error}.")
        case NotFoundError():
            return _error(404, str(error))
        case ConflictError():
            return _error(409, str(error))
        case TooLargeError():
            return _error(413, str(error))
        case InvalidError():
            return _error(400, str(error))
        case UnreadableError():
            return _error(503, str(error))
        case ProviderAwayError():
            _log.warning("a login at an identity provider failed", reason=str(error))
            return _error(503, str(error))
        case DirectoryAwayError():
            return for_later(_error(503, f"The domain's directory cannot be asked now: {error}"))
        case RetryableError():
            return for_later(_error(503, "The service cannot do this now; try again."))
        case HTTPException(status_code=404):
            return _error(404, "Nothing is served at this URL.")
        case HTTPException(status_code=status, headers=headers):
            response = _error(status, "This method is not served at this URL.")
            response.headers.update(headers or {})
            return response
    return None


def failure() -> Response:
    """The answer to an error that nobody foresaw."""
    return _error(500, "An unexpected error prevented the server from fulfilling your request.")


def _error(status: int, message: str) -> Response:
    return answer({"error": {"code": status, "message": message, "title": HTTPStatus(status).phrase}}, status)
