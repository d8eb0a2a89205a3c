"""What the API asks about guests, wherever their hosts are."""

from __future__ import annotations

from typing import Any, Protocol

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

    def url(self, origin: str, token: str, type_: str) -> str:
        """Where a browser (novnc) or a client of websockets (serial) shows its console."""
        ...

    def place(self, server: Server) -> dict[str, Any]:
        """`host`, `port`, `internal_access_path`: where it is behind the proxy."""
        ...
