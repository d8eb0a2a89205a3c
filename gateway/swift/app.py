"""`SwiftApp`: the ASGI application, and the outermost layer where every error becomes an answer."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import structlog

from authn.identity import Authenticator
from gateway.objects.downloads import Downloads
from gateway.objects.layer import ObjectLayer
from gateway.swift import info, routes
from gateway.swift.access import cors, crossdomain, tempurl, tokens
from gateway.swift.config import Config
from gateway.swift.protocol.errors import PLAIN, RefusedError
from gateway.swift.protocol.refusals import cause, refusal
from gateway.swift.protocol.request import Receive, Request, Scope, Send
from gateway.swift.refusal_log import RefusalLog
from gateway.swift.service import ASKED, Service
from store.core.clock import Clock, SystemClock
from store.core.entropy import PooledRandom, Random
from store.objects.interface import ObjectStore
from store.replicator.progress import Progress

_log = structlog.get_logger(__name__)


class SwiftApp:
    """Serves `/v1/{account}[/{container}[/{object}]]`, `/info` and `/healthcheck` from a store."""

    def __init__(
        self,
        store: ObjectStore,
        authenticator: Authenticator,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        config = config or Config()
        clock = clock or SystemClock()
        random = random or PooledRandom()
        self._service = Service(
            layer=ObjectLayer.over(store, clock, random, config.limits.container_listing_limit, ASKED),
            downloads=Downloads(config.download_bytes),
            refusals=RefusalLog(clock),
            config=config,
            limits=config.limits,
        )
        self._tokens = tokens.Tokens(authenticator, config)
        self._info = info.body(self._service)

    async def run(self, progress: Progress) -> None:
        """Do what is owed after requests were answered, until cancelled: segments go after the manifest that owned
        them. One process of a store is enough to run this, and any number may."""
        await self._service.layer.ownership.run(progress)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        service = self._service
        layer = service.layer
        now_s = layer.clock.wall_us() // 1_000_000
        txid = f"tx{layer.random.bytes(11).hex()[:21]}-{now_s:010x}"
        request = Request(scope, receive, send, txid, now_s)
        extra = request.headers.get(b"x-trans-id-extra")
        if extra:
            request.txid = txid + "-" + quote(extra[:32].decode("latin-1"))
        structlog.contextvars.bind_contextvars(txid=request.txid)
        try:
            await self._serve(scope, request)
        except Exception as error:
            await self._refuse(request, error)

    async def _serve(self, scope: Scope, request: Request) -> None:
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        if not raw_path.startswith(b"/v1/") and await self._serve_others(request, raw_path):
            return
        request.split(raw_path)
        service = self._service
        if b"origin" in request.headers:
            await cors.prepare(service.layer, service.config, request)
        # Before the handler is chosen: a signature leaves nothing in the request that could call for another one.
        signed = (
            await tempurl.principal(service.layer, service.config, request)
            if request.queried and tempurl.is_signed(scope["query_string"])
            else None
        )
        request.principal = signed or await self._tokens.principal(request)
        await routes.handler(service, request)(service, request)

    async def _serve_others(self, request: Request, raw_path: bytes) -> bool:
        """Serve what is no account's. False where the path names something else."""
        if raw_path == b"/healthcheck":
            await request.respond(200, [(b"content-type", PLAIN)], b"OK")
        elif raw_path == b"/info":
            await self._serve_info(request)
        elif raw_path == crossdomain.PATH and request.method in ("GET", "HEAD"):
            await request.respond(
                200, [(b"content-type", crossdomain.KIND)], crossdomain.document(self._service.config)
            )
        else:
            return False
        return True

    async def _serve_info(self, request: Request) -> None:
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise RefusedError(405, headers=[(b"allow", b"GET, HEAD, OPTIONS")])
        if request.method == "OPTIONS":
            await request.respond(200, [(b"allow", b"GET, HEAD, OPTIONS")])
            return
        body = self._info
        await request.respond(200, [(b"content-type", b"application/json; charset=UTF-8")], body)

    async def _refuse(self, request: Request, error: Exception) -> None:
        """Answer an error; what nobody expected is logged with its cause, and never shown."""
        if request.started and isinstance(cause(error), ConnectionError):
            raise error  # the client is gone, which the server knows already
        answer = refusal(error)
        if answer is None or request.started:
            _log.error("request failed", method=request.method, path=request.path, txid=request.txid, exc_info=error)
        elif answer.status >= 500:  # foreseen: where the program was when it met it says nothing
            about = {"method": request.method, "path": request.path, "txid": request.txid}
            self._service.refusals.note(answer.status, cause(error), **about)
        if request.started:
            raise error  # the server breaks the connection: what was sent must not look whole
        with contextlib.suppress(ConnectionError):
            await request.refuse(answer or RefusedError(500))


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Nothing is to be started or stopped; say so to a server that asks."""
    if scope["type"] != "lifespan":
        raise RuntimeError(f"not served here: {scope['type']}")
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
