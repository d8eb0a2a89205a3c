"""What the API asks about guests, wherever their hosts are."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import trio

from compute_plugin.hypervisors.interface import Usage
from compute_plugin.records.server import Server


class Consoles(Protocol):
    """Of all servers of the cloud."""

    async def log(self, server: Server) -> bytes:
        """What its guest said, the last part of it. Raises RetryableError where its host does not answer."""
        ...

    async def usage(self, server: Server) -> Usage:
        """What its guest has used so far. Raises NotFoundError where it does not run, RetryableError."""
        ...

    def opened(self, server: Server, type_: str) -> AbstractAsyncContextManager[trio.abc.Stream]:
        """Its screen (`novnc`: RFB) or its serial console (`serial`), as bytes. Raises RetryableError where that
        cannot be reached from here."""
        ...

    def url(self, origin: str, token: str, type_: str) -> str:
        """Where a browser (novnc) or a client of websockets (serial) shows its console."""
        ...

    def place(self, server: Server) -> dict[str, Any]:
        """`host`, `port`, `internal_access_path`: where it is behind the proxy."""
        ...
