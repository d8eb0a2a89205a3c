"""What is really on the hosts of networks: asked of the node that is one, over the link there is."""

from __future__ import annotations

import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from compute_plugin.networks.trace.hosts import SeenHost
from store.core.errors import BusyError, NotFoundError
from store.remote.process import RemoteProcess
from store.wire.server import Call, Peer

LOOK: Final = "networks.look"
"""[] -> what is on the host (`trace.looking`), as JSON in zlib's form."""
LOOK_SECONDS: Final = 30.0
BYTES_MAX: Final = 64 * 1024 * 1024
"""Of JSON: a host with thousands of ports has some of them."""

Row = dict[str, Any]
Look = Callable[[], Awaitable[Row]]


class LookAnswers:
    """Answers other processes."""

    def __init__(self) -> None:
        self.of: Look | None = None
        """Looks at this host; None as long as nothing is wired here."""

    def serve(self, peer: Peer) -> None:
        """Answer a new peer."""
        peer.handlers[LOOK] = self._look

    def _look(self, call: Call) -> None:
        if call.arguments:
            raise TypeError("no arguments are taken")
        call.begin(self._tell)

    async def _tell(self) -> bytes:
        if self.of is None:
            raise BusyError("no networks are wired here")
        return zlib.compress(json.dumps(await self.of()).encode(), 1)


class HostLooks:
    """Looks at any host: this one, whose name is `name`, or that of another process."""

    def __init__(self, own: Look | None, name: str, processes: Callable[[], Mapping[str, RemoteProcess]]) -> None:
        self._own = own
        self._name = name
        self._processes = processes

    async def look(self, host: str) -> SeenHost:
        """Raises NotFoundError where nobody is called so, RetryableError where it does not answer."""
        if host == self._name:
            if self._own is None:
                raise NotFoundError(f"No networks are wired on {host}.")
            return SeenHost(host, await self._own())
        process = self._processes().get(host)
        if process is None:
            raise NotFoundError(f"No node is called {host}.")
        answer = await process.ask(LOOK, LOOK_SECONDS)
        return SeenHost(host, _read(answer))


def _read(answer: object) -> Row:
    """What another node says. Raises NotFoundError for what is none."""
    wrong = NotFoundError("The other node says nothing that can be understood here.")
    if not isinstance(answer, bytes):
        raise wrong
    unpacked = zlib.decompressobj()
    try:
        said = json.loads(unpacked.decompress(answer, BYTES_MAX))
    except (zlib.error, ValueError) as error:
        raise wrong from error
    if not isinstance(said, dict) or not isinstance(said.get("spaces"), dict):
        raise wrong
    return said
