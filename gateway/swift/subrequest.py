"""Requests within a request: what an archive, a form or a list of names stands for, each taken as if it came alone.

They go through the same handlers and so through every rule and feature; what they answer is gathered, not sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio

from gateway.objects.access.caller import Caller
from gateway.objects.errors import SignatureError
from gateway.swift.access.restricted import Restricted
from gateway.swift.access.tempurl import Signed
from gateway.swift.protocol.errors import REASONS, RefusedError
from gateway.swift.protocol.refusals import cause, refusal
from gateway.swift.protocol.request import Message, Receive, Request, Send
from gateway.swift.service import Service

Handler = Callable[[Service, Request], Awaitable[None]]
Dispatch = Callable[[Service, Request], Handler]
"""Finds the handler of a request; routes.py has it."""

_log = structlog.get_logger(__name__)


@dataclass
class Reply:
    """What a request within was answered."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    @property
    def line(self) -> str:
        """The status as reports spell it."""
        return f"{self.status} {REASONS[self.status][0]}" if self.status in REASONS else str(self.status)


class _Gatherer:
    """The `send` of a request within."""

    def __init__(self) -> None:
        self.reply = Reply()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.reply.status, self.reply.headers = message["status"], message["headers"]
        else:
            self.reply.body += bytes(message.get("body", b""))


class _Feeder:
    """The `receive` of a request within, over pieces of a body. What `pieces` raises goes through."""

    def __init__(self, pieces: AsyncIterator[bytes] | None) -> None:
        self._pieces = pieces
        self.failed = False

    async def __call__(self) -> dict[str, Any]:
        if self._pieces is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            piece = await anext(self._pieces, None)
        except BaseException:
            self.failed = True
            raise
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}


def _child(
    parent: Request,
    method: str,
    path: str,
    headers: Mapping[bytes, bytes] | None = None,
    principal: Caller | None = None,
    *,
    receive: Receive,
    send: Send,
) -> Request:
    """A request for `path` (container[/object], not quoted) in the parent's account, on behalf of the same
    principal."""
    scope = {"method": method, "headers": list((headers or {}).items())}
    request = Request(scope, receive, send, parent.txid, parent.now_s)
    request.principal = principal or parent.principal
    request.client = parent.client
    request.account = parent.account
    request.container, _, request.object = path.partition("/")
    request.path = f"/v1/{parent.account}/{path}"
    return request


async def ask(
    service: Service,
    dispatch: Dispatch,
    parent: Request,
    method: str,
    path: str,
    headers: Mapping[bytes, bytes] | None = None,
    pieces: AsyncIterator[bytes] | None = None,
    *,
    principal: Caller | None = None,
) -> Reply:
    """Serve a request within to its end. Errors become its answer, as they do outside; errors of the pieces do not."""
    await trio.lowlevel.checkpoint()  # there may be thousands, and the store may have all that they ask for at hand
    gatherer, feeder = _Gatherer(), _Feeder(pieces)
    request = _child(parent, method, path, headers, principal, receive=feeder, send=gatherer)
    try:
        if isinstance(request.principal, Signed) and not request.principal.allows(method):
            raise SignatureError
        if isinstance(request.principal, Restricted):
            request.principal = request.principal.within(method, request.path)
        await dispatch(service, request)(service, request)
    except Exception as error:
        if feeder.failed:
            raise
        answer = refusal(error)
        if answer is None:
            _log.error("request within failed", method=method, path=request.path, txid=request.txid, exc_info=error)
        elif answer.status >= 500:
            service.refusals.note(answer.status, cause(error), method=method, path=request.path, txid=request.txid)
        if request.started:
            return Reply(500)
        await request.refuse(answer or RefusedError(500))
    return gatherer.reply
