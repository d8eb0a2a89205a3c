"""What a serving process answers the other commands: HTTP over a socket in the data folder.

Who may open the folder may ask anything, so there is no other authentication. Asked are `POST /registry` (see
store.registry.remote), `GET /status`, `POST /scrub`, `POST /token` (the line with which a node may join),
`POST /devices/<number>/retry` and what `volume_control` has. The other end is `control_client`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from drystone.control_client import short_path
from drystone.folder import DataFolder
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError
from store.registry import Registry
from store.registry.remote import answer

Endpoint = Callable[[Request], Awaitable[Response]]


def control_app(
    registry: Registry,
    status: Callable[[], Awaitable[dict[str, Any]]],
    scrub: Callable[[], None],
    retry: Callable[[int], None],
    token: Callable[[int, str], Awaitable[str]],
    more: Sequence[Route] = (),
) -> Starlette:
    """The application behind the socket. `retry` tries a device that is out; it raises NotFoundError for another.
    `token` makes one that is valid for so many seconds, for this name, if any; it raises NotFoundError where this is no
    node of a cluster. `more` are what others answer there."""

    async def ask_registry(request: Request) -> Response:
        return Response(await answer(registry, await request.body()), media_type="application/msgpack")

    async def ask_status(_: Request) -> Response:
        return JSONResponse(await status())

    async def ask_scrub(_: Request) -> Response:
        scrub()
        return JSONResponse({})

    async def ask_retry(request: Request) -> Response:
        try:
            retry(int(request.path_params["number"]))
        except NotFoundError as error:
            return Response(str(error), status_code=404)
        return JSONResponse({})

    async def ask_token(request: Request) -> Response:
        wanted = json.loads(await request.body())
        try:
            return Response(await token(int(wanted["valid_s"]), str(wanted["name"])))
        except NotFoundError as error:
            return Response(str(error), status_code=404)
        except DrystoneError as error:
            return Response(str(error), status_code=503)

    return Starlette(
        routes=[
            Route("/token", ask_token, methods=["POST"]),
            Route("/registry", ask_registry, methods=["POST"]),
            Route("/status", ask_status, methods=["GET"]),
            Route("/scrub", ask_scrub, methods=["POST"]),
            Route("/devices/{number:int}/retry", ask_retry, methods=["POST"]),
            *more,
        ]
    )


def told(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors become answers: their status, and their reason as text."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except DrystoneError as error:
            kinds = {InvalidError: 400, NotFoundError: 404, ConflictError: 409}
            status = next((status for kind, status in kinds.items() if isinstance(error, kind)), 503)
            return Response(str(error), status_code=status)

    return answer


async def listen(folder: DataFolder) -> trio.SocketListener:
    """The socket in the folder, in place of one that a dead process left."""
    with suppress(FileNotFoundError):
        os.unlink(folder.control)
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(folder) as path:
        await sock.bind(path)
    os.chmod(folder.control, 0o600)
    sock.listen(16)
    return trio.SocketListener(sock)
