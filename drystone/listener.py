"""The listener of a node: other nodes get what its services have, and who wants to become one may ask for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio

from drystone.folder import DataFolder
from drystone.links import NO_MEMBER, Links
from drystone.members import Members
from drystone.node_identity import credentials_of
from drystone.node_records import split_address
from store.core.errors import InvalidError
from store.wire.authority import node_name
from store.wire.errors import UnreachableError
from store.wire.message import Hello
from store.wire.server import Service, serve_link
from store.wire.tls import Shown, greet, server_context

log = structlog.get_logger()

STRANGERS_MAX: Final = 8
"""Links of who shows no certificate, at a time."""
STRANGER_SECONDS: Final = 60.0
"""After which such a link is closed."""
STRANGER_FRAME_MAX: Final = (32 * 1024, 0)
SHAKING_MAX: Final = 64
"""Streams, at a time, of which it is not known yet who they are."""


async def listen(address: str) -> list[trio.SocketListener]:
    """Take the node's address. Raises InvalidError where that cannot be."""
    host, port = split_address(address)
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=256)
    except OSError as error:
        raise InvalidError(f"node.json says that other nodes reach this one at {address}, which cannot be listened "
                           f"on: {error.strerror or error}") from error  # fmt: skip


class Listener:
    """`services` answer nodes whose certificate `members` knows as theirs, `strangers` who shows none."""

    def __init__(
        self,
        folder: DataFolder,
        links: Links,
        members: Members,
        services: Sequence[Service],
        strangers: Sequence[Service],
    ) -> None:
        self._mine = links.mine
        self._cluster = links.cluster
        self._members = members
        self._services = services
        self._strangers = strangers
        self._context = server_context(credentials_of(folder), strangers=True)
        self._stranger_count = 0
        self._shaking = 0
        self._open: dict[trio.CancelScope, Shown] = {}

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serve until cancelled."""
        await trio.serve_listeners(self._take, list(listeners))

    def drop_gone(self) -> None:
        """Nobody goes on to be served who is no member any more: to be called when members have changed."""
        for scope, shown in self._open.items():
            if self._refusal(shown):
                scope.cancel()

    async def _take(self, plain: trio.abc.Stream) -> None:
        if self._shaking >= SHAKING_MAX:
            await trio.aclose_forcefully(plain)
            return
        self._shaking += 1
        try:
            stream, shown = await greet(plain, self._context)
        except UnreachableError as error:
            log.info("a stream was refused", why=str(error))
            return
        finally:
            self._shaking -= 1
        if shown is None:
            await self._serve_stranger(stream)
        else:
            await self._serve_node(stream, shown)

    async def _serve_node(self, stream: trio.abc.Stream, shown: Shown) -> None:
        def admit(_hello: Hello) -> str:
            return self._refusal(shown)

        with trio.CancelScope() as scope:
            self._open[scope] = shown
            try:
                await serve_link(stream, self._mine, self._services, admit, name=shown.name)
            finally:
                del self._open[scope]

    async def _serve_stranger(self, stream: trio.abc.Stream) -> None:
        if self._stranger_count >= STRANGERS_MAX:
            await trio.aclose_forcefully(stream)
            return
        self._stranger_count += 1
        try:
            with trio.move_on_after(STRANGER_SECONDS):
                await serve_link(stream, self._mine, self._strangers, frame_max=STRANGER_FRAME_MAX)
        finally:
            self._stranger_count -= 1

    def _refusal(self, shown: Shown) -> str:
        """Why who shows this is not served, or nothing."""
        for name, record in self._members.nodes.items():
            if record.serial == shown.serial and node_name(name, self._cluster) == shown.name:
                return ""
        return f"{shown.name} {NO_MEMBER}: it was removed, or has joined anew"
