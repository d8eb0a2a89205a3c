"""A service on the frame for tests, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from gateway.rest.call import Call
from gateway.rest.errors import ForbiddenError, NotAcceptableError, UnauthorizedError
from store.core.errors import InvalidError, RetryableError

_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (NotAcceptableError, 406),
    (InvalidError, 400),
    (RetryableError, 503),
)
NO_HEADERS: Final[Mapping[str, str]] = {}


def refusal(error: Exception, _: Call) -> Response | None:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": "HTTP"}, error.status_code, headers=error.headers)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return JSONResponse({"error": str(error)}, status)
    return None


def failure() -> Response:
    return JSONResponse({"error": "unexpected"}, 500)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp, method: str, path: str, headers: Mapping[str, str] = NO_HEADERS, body: Any = None
) -> Answer:
    """`path` may have a query."""
    started: list[MutableMapping[str, Any]] = []
    content = bytearray()
    named = {"Host": "cloud:8080", **headers}
    sent = b"" if body is None else json.dumps(body).encode()
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
        "scheme": "http",
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            content.extend(message.get("body", b""))

    await app(scope, receive, send)
    (start,) = started
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, bytes(content))
