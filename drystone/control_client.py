"""How the other commands reach the process that serves a data folder: see `control`.

Imported by every command, so it imports little itself.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Generator, Mapping
from typing import Any

from drystone.folder import DataFolder
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

TIMEOUT_SECONDS = 60.0
_ERRORS: Mapping[int, type[DrystoneError]] = {
    400: InvalidError,
    404: NotFoundError,
    409: ConflictError,
    503: RetryableError,
}


class short_path:  # noqa: N801 - used like a function
    """A path to a socket in the folder that is short enough for the kernel (107 bytes), however deep that lies."""

    def __init__(self, folder: DataFolder, name: str = "control.sock") -> None:
        self._name = name
        self._folder = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._folder}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: DataFolder, timeout: float | None = TIMEOUT_SECONDS) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_path(self._folder) as path:
            self.sock.connect(path)


def exchange(
    folder: DataFolder, method: str, path: str, body: bytes | None, timeout: float | None = TIMEOUT_SECONDS
) -> bytes:
    """Ask the running process. Raises the error that it answers, and OSError where it has gone."""
    connection = _UnixConnection(folder, timeout)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status in _ERRORS:
        raise _ERRORS[response.status](content.decode())
    if response.status != 200:
        raise RetryableError(f"the running process answered {response.status}")
    return content


def lines(folder: DataFolder, path: str) -> Generator[bytes, None, None]:
    """What the running process answers a GET line by line, for as long as that takes. Raises as `exchange`."""
    connection = _UnixConnection(folder, None)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise _ERRORS.get(response.status, RetryableError)(response.read().decode())
        while line := response.readline():
            yield line
    finally:
        connection.close()


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
    need_process(folder)
    status: dict[str, Any] = json.loads(exchange(folder, "GET", "/status", None))
    return status


def start_scrub(folder: DataFolder) -> None:
    """Have the running process scrub now. Raises NotFoundError where none runs."""
    need_process(folder)
    exchange(folder, "POST", "/scrub", b"")


def retry_device(folder: DataFolder, number: int) -> None:
    """Have the running process try a device that is out or missing now. Raises NotFoundError where there is none."""
    need_process(folder)
    exchange(folder, "POST", f"/devices/{number}/retry", b"")


def make_token(folder: DataFolder, valid_s: int, name: str) -> str:
    """The line with which a node may join within so many seconds, under this name alone, if any. Raises NotFoundError
    where no process runs, or it is none of a cluster."""
    need_process(folder)
    return exchange(folder, "POST", "/token", json.dumps({"valid_s": valid_s, "name": name}).encode()).decode()


def close_volumes(folder: DataFolder) -> None:
    """Have the running process close all volumes, and open none any more: it is to end. Raises as `exchange`."""
    exchange(folder, "POST", "/close-volumes", b"")


def need_process(folder: DataFolder) -> None:
    """Raises NotFoundError where no process serves the folder."""
    folder.need_cluster()
    if not serving(folder):
        raise NotFoundError(f"nobody serves {folder.path}: start it with 'drystone up --data {folder.path}'")
