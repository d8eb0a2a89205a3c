"""How the other commands reach the process that serves a data folder: see `control`.

Imported by every command, so it imports little itself.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any

from drystone.folder import DataFolder
from store.core.errors import NotFoundError, RetryableError

TIMEOUT_SECONDS = 60.0


class short_path:  # noqa: N801 - used like a function
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
        with short_path(self._folder) as path:
            self.sock.connect(path)


def exchange(folder: DataFolder, method: str, path: str, body: bytes | None) -> bytes:
    connection = _UnixConnection(folder)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status == 404:
        raise NotFoundError(content.decode())
    if response.status == 503:
        raise RetryableError(content.decode())
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
    status: dict[str, Any] = json.loads(exchange(folder, "GET", "/status", None))
    return status


def start_scrub(folder: DataFolder) -> None:
    """Have the running process scrub now. Raises NotFoundError where none runs."""
    _need_process(folder)
    exchange(folder, "POST", "/scrub", b"")


def retry_device(folder: DataFolder, number: int) -> None:
    """Have the running process try a device that is out or missing now. Raises NotFoundError where there is none."""
    _need_process(folder)
    exchange(folder, "POST", f"/devices/{number}/retry", b"")


def make_token(folder: DataFolder, valid_s: int, name: str) -> str:
    """The line with which a node may join within so many seconds, under this name alone, if any. Raises NotFoundError
    where no process runs, or it is none of a cluster."""
    _need_process(folder)
    return exchange(folder, "POST", "/token", json.dumps({"valid_s": valid_s, "name": name}).encode()).decode()


def _need_process(folder: DataFolder) -> None:
    folder.need_cluster()
    if not serving(folder):
        raise NotFoundError(f"nobody serves {folder.path}: start it with 'drystone up --data {folder.path}'")
