"""How the other commands reach the process that serves a data folder: HTTP over a socket in the folder.

Who may open the folder may ask anything, so there is no other authentication. Asked are `POST /registry` (see
store.registry.remote), `GET /status` and `POST /scrub`. Where nobody serves the folder, commands open its registry
themselves.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from drystone.folder import DataFolder
from store.core.clock import SystemClock
from store.core.errors import NotFoundError, RetryableError
from store.registry import Registry, open_embedded
from store.registry.remote import RemoteRegistry, answer

TIMEOUT_SECONDS = 60.0


def control_app(
    registry: Registry, status: Callable[[], Awaitable[dict[str, Any]]], scrub: Callable[[], None]
) -> Starlette:
    """The application behind the socket."""

    async def ask_registry(request: Request) -> Response:
        return Response(await answer(registry, await request.body()), media_type="application/msgpack")

    async def ask_status(_: Request) -> Response:
        return JSONResponse(await status())

    async def ask_scrub(_: Request) -> Response:
        scrub()
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/registry", ask_registry, methods=["POST"]),
            Route("/status", ask_status, methods=["GET"]),
            Route("/scrub", ask_scrub, methods=["POST"]),
        ]
    )


async def listen(folder: DataFolder) -> trio.SocketListener:
    """The socket in the folder, in place of one that a dead process left."""
    with suppress(FileNotFoundError):
        os.unlink(folder.control)
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short_path(folder) as path:
        await sock.bind(path)
    os.chmod(folder.control, 0o600)
    sock.listen(16)
    return trio.SocketListener(sock)


class _short_path:  # noqa: N801 - used like a function
    """A path to the socket that is short enough for the kernel (107 bytes), however deep the folder lies."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._folder}/control.sock"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: DataFolder) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._folder = folder

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        with _short_path(self._folder) as path:
            self.sock.connect(path)


def _exchange(folder: DataFolder, method: str, path: str, body: bytes | None) -> bytes:
    connection = _UnixConnection(folder)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RetryableError(f"the running process answered {response.status}")
    return content


def serving(folder: DataFolder) -> bool:
    """Whether a process serves this folder."""
    connection = _UnixConnection(folder)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def read_status(folder: DataFolder) -> dict[str, Any]:
    """What the running process says of itself. Raises NotFoundError where none runs."""
    _need_process(folder)
    status: dict[str, Any] = json.loads(_exchange(folder, "GET", "/status", None))
    return status


def start_scrub(folder: DataFolder) -> None:
    """Have the running process scrub now. Raises NotFoundError where none runs."""
    _need_process(folder)
    _exchange(folder, "POST", "/scrub", b"")


def _need_process(folder: DataFolder) -> None:
    if folder.cluster() is None:
        raise NotFoundError(f"there is no Drystone in {folder.path}: start one with 'drystone up --data {folder.path}'")
    if not serving(folder):
        raise NotFoundError(f"nobody serves {folder.path}: start it with 'drystone up --data {folder.path}'")


@asynccontextmanager
async def open_registry(folder: DataFolder) -> AsyncIterator[Registry]:
    """The folder's registry: through the process that serves it, or by opening it."""
    if folder.cluster() is None:
        raise NotFoundError(f"there is no Drystone in {folder.path}: start one with 'drystone up --data {folder.path}'")
    if serving(folder):

        async def call(request: bytes) -> bytes:
            return await trio.to_thread.run_sync(_exchange, folder, "POST", "/registry", request)

        yield RemoteRegistry(call)
        return
    with open_embedded(folder.registry, SystemClock()) as registry:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.run)
            yield registry
            nursery.cancel_scope.cancel()
