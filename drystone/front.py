"""The front: which application answers which path. The object path comes first and costs one comparison."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from drystone.metrics import Metrics, Requests
from drystone.slow_requests import SLOW_SECONDS, SlowRequests, size_of
from gateway.http.asgi import App, Message, Receive, Scope, Send
from store.core.waits import begin_waits

_NO_ANSWER: Message = {"status": 0}
OBJECT_PATHS = (b"/v1/", b"/info", b"/healthcheck")


class Front:
    """An ASGI application made of others, by the beginning of the path."""

    def __init__(
        self,
        objects: App,
        others: Mapping[bytes, App],
        requests: Requests,
        metrics: Metrics,
        slow: SlowRequests,
        felt: Callable[[float], None],
        why_not_ready: Callable[[], str],
    ) -> None:
        """`felt` is told how long each request took, without what it waited for its client. `why_not_ready` says why no
        requests should come, if there is a reason."""
        self._objects = objects
        self._others = tuple(others.items())
        self._requests = requests
        self._metrics = metrics
        self._slow = slow
        self._felt = felt
        self._why_not_ready = why_not_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        waits = begin_waits()
        start: Message = _NO_ANSWER

        async def watched(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            await send(message)

        try:
            await self._app(scope["raw_path"])(scope, receive, watched)
        finally:
            took = time.perf_counter() - began
            method, status = scope["method"], start["status"]
            self._requests.finished(method, status, took)
            self._felt(took - waits.client)
            if took > SLOW_SECONDS:
                size = size_of(scope["headers"]) + size_of(start.get("headers", ()))
                self._slow.note(method, scope["raw_path"], status, took, size, waits)

    def _app(self, path: bytes) -> App:
        if path.startswith(OBJECT_PATHS):
            return self._objects
        for prefix, app in self._others:
            if path.startswith(prefix):
                return app
        if path == b"/metrics":
            return self._show_metrics
        if path == b"/ready":
            return self._show_ready
        if path == b"/":
            return _show_root
        return self._objects

    async def _show_metrics(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _answer(send, b"text/plain; version=0.0.4; charset=utf-8", self._metrics.text())

    async def _show_ready(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        why = self._why_not_ready()
        await _answer(send, b"text/plain", why.encode() or b"ready", 503 if why else 200)


async def _show_root(_scope: Scope, _receive: Receive, send: Send) -> None:
    services = {"object-store": "/v1", "identity": "/identity/v3", "metrics": "/metrics", "capabilities": "/info"}
    await _answer(send, b"application/json", json.dumps({"drystone": services}).encode())


async def _answer(send: Send, kind: bytes, body: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})
