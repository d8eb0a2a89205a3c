"""`ServiceApp`: which request goes where, and the outermost layer where every error becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Generic, TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.rest.audit import audit
from gateway.rest.call import Call, Receive, Scope
from gateway.rest.microversions import Microversions
from gateway.rest.routing import Router

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
C = TypeVar("C", bound=Call)
Handler = Callable[[C], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Handler[C]]]
"""By path, handlers by method; HEAD goes to GET's where it has none of its own."""

REQUEST_ID: Final = "x-openstack-request-id"
COMPUTE_REQUEST_ID: Final = "x-compute-request-id"
"""Nova's older name of it, which Cinder has from there."""
_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_log = structlog.get_logger(__name__)


class ServiceApp(Generic[C]):
    """Serves everything at its prefix and below."""

    def __init__(
        self,
        prefix: str,
        routes: Routes[C],
        *,
        call: Callable[[Scope, Receive], C],
        refusal: Callable[[Exception, C], Response | None],
        failure: Callable[[], Response],
        request_id: Callable[[], str],
        documents: Routes[C] | None = None,
        microversions: Microversions | None = None,
        exact: bool = False,
        request_id_headers: tuple[str, ...] = (REQUEST_ID,),
    ) -> None:
        """`refusal`: the answer to an error that somebody foresaw, in the service's own form, None for any other;
        `failure`: to those. `documents`: routes that are answered whatever microversion is asked for, so that a client
        can learn which there are. `exact`: whether a path with an empty part, such as a slash at its end, names nothing
        where another without it does: so an id that is empty is none of a list's. `request_id_headers` say the id of a
        request to whoever asked."""
        self._prefix = prefix
        self._router = Router(routes)
        self._documents = Router(documents or {})
        self._microversions = microversions
        self._exact = exact
        self._call = call
        self._refusal = refusal
        self._failure = failure
        self._request_id = request_id
        self._request_id_headers = request_id_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"not served here: {scope['type']}")
        request_id = self._request_id()
        call = self._call(scope, receive)
        call.request_id = request_id
        try:
            response = await self._handler(call)(call)
        except ClientDisconnect:
            response = self._failure()
        except Exception as error:
            known = self._refusal(error, call)
            if known is None:
                _log.exception("request failed", request_id=request_id, path=ascii(scope["path"]))
            response = known or self._failure()
        response.headers.update(dict.fromkeys(self._request_id_headers, request_id))
        vary = ["X-Auth-Token", "Authorization"]
        if self._microversions is not None:
            response.headers.update(self._microversions.told(call.version or self._microversions.least))
            vary += self._microversions.vary()
        response.headers["Vary"] = ", ".join(vary)
        await audit(call, response.status_code, request_id)
        await response(scope, receive, send)

    def _handler(self, call: C) -> Handler[C]:
        """Whoever answers the request; the parts of its path are left in the call."""
        scope = call.request.scope
        path, method = scope["path"].removeprefix(self._prefix), scope["method"]
        # What is no UTF-8 names nothing, and no key could hold it.
        readable = _SURROGATES.search(path) is None
        found = self._documents.find(path) if readable else None
        if found is None:
            if self._microversions is not None:
                call.version = self._microversions.chosen(call.request.headers)
            named = readable and not (self._exact and "" in path.split("/")[1:])
            found = self._router.find(path) if named else None
        if found is None:
            raise HTTPException(404)
        handler = found.handlers.get(method) or (found.handlers.get("GET") if method == "HEAD" else None)
        if handler is None:
            raise HTTPException(405, headers={"Allow": ", ".join(found.handlers)})
        call.parts = found.parts
        return handler
