"""One service of this process asks another one, in the name of somebody whose token it has seen.

It asks as a client would: the other one's application, with a method, a path and JSON; so what the other one allows,
counts and refuses holds for it, too. In the place of a token there is a caller in the request's scope, where nothing
that comes over the network can put one: so work that takes hours does not end with a token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from gateway.rest.errors import ForbiddenError, OverLimitError
from gateway.rest.policy import Credentials
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

INSIDE: Final = "drystone.caller"
"""In the scope of a request."""

ACCEPT: Final = (b"accept", b"application/json")
"""Or the image service says in HTML why not."""

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

_KINDS: Final[Mapping[int, type[DrystoneError]]] = {
    400: InvalidError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: OverLimitError,
    503: RetryableError,
}


class RefusedError(DrystoneError):
    """Another service refused in a way that has no kind here."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Somebody in whose name a service asks another one."""

    credentials: Credentials


class Asker:
    """Asks one service."""

    def __init__(self, app: App, prefix: str, headers: Mapping[str, str] | None = None) -> None:
        """`prefix`: where the service's paths begin, such as `/volume/v3`. `headers`: of each request, such as the
        microversion that is meant."""
        self._app = app
        self._prefix = prefix
        self._headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]

    async def ask(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """`body`: what becomes JSON, or bytes. What it answers, from JSON; None where that is nothing. Raises
        InvalidError, ForbiddenError, NotFoundError, ConflictError, OverLimitError and RetryableError in its words,
        RefusedError for what is none of these."""
        whole = self._prefix + path
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        type_ = b"application/octet-stream" if isinstance(body, bytes) else b"application/json"
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": whole,
            "raw_path": quote(whole).encode(),
            "query_string": urlencode(query or {}).encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), ACCEPT, *self._headers, (b"content-type", type_)],
            "client": None,
            "server": None,
            INSIDE: Inside(credentials),
        }
        status, parts = 0, bytearray()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            else:
                parts.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        answer = json.loads(parts) if parts else None
        if status >= 300:
            raise _refusal(status, answer)
        return answer


def _refusal(status: int, answer: Any) -> DrystoneError:
    said = next(iter(answer.values()), None) if isinstance(answer, dict) else None
    found = said if isinstance(said, dict) else {}
    message = str(found.get("message") or f"status {status}")
    if found.get("type") == "OverQuota":
        return OverLimitError(message)
    return _KINDS.get(status, RefusedError)(message)
