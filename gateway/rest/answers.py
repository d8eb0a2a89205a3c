"""What answers of all services have in common; how each tells its errors is in the answers of that service."""

from __future__ import annotations

import json
from typing import Any, Protocol

from starlette.responses import Response


class Asked(Protocol):
    """A request, as far as answers need it."""

    @property
    def origin(self) -> str:
        """Where the client found this cloud."""
        ...


def answer(content: Any, status: int = 200) -> Response:
    """JSON in ASCII: names may hold what no other encoding can carry."""
    return Response(json.dumps(content).encode(), status, media_type="application/json")


def accepted() -> Response:
    """It is being done."""
    return Response(status_code=202)


def nothing(status: int = 204) -> Response:
    """Done, and there is nothing to say."""
    return Response(status_code=status)


def with_challenge(response: Response, call: Asked) -> Response:
    """A 401 that says where tokens are to be had, as keystonemiddleware's."""
    response.headers["WWW-Authenticate"] = f'Keystone uri="{call.origin}/identity"'
    return response


def for_later(response: Response, seconds: int = 1) -> Response:
    """An error that may be gone by then."""
    response.headers["Retry-After"] = str(seconds)
    return response
