"""`Work`: a transition of a server as the agent that does it sees it.

What is done stands being done twice: after a death the transition is done again from its beginning, by the same agent
or another. Each write asks that the transition is still the one that was begun here; where it is not, `LostError` ends
the work, and nothing more is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from compute_plugin.clients.callers import asker_of
from compute_plugin.lifecycle import changes
from compute_plugin.lifecycle.changes import LostError
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, Transition, VmState
from compute_plugin.records.store import ComputeStore
from gateway.rest.policy import Credentials
from store.core.clock import Clock
from store.core.errors import ConflictError, RetryableError


class Work:
    """Of one transition."""

    def __init__(self, store: ComputeStore, clock: Clock, host: str, server: Server) -> None:
        assert server.transition is not None
        self._store = store
        self._clock = clock
        self.host = host
        self.server = server
        """As it was written last."""
        self._id = server.transition.id

    @property
    def transition(self) -> Transition:
        assert self.server.transition is not None
        return self.server.transition

    @property
    def arguments(self) -> dict[str, Any]:
        return self.transition.arguments

    @property
    def caller(self) -> Credentials:
        """Whoever had it done."""
        return asker_of(self.transition)

    async def step(self, name: str) -> None:
        """It comes so far. Raises LostError."""
        await self._write(lambda records, server, now: changes.stepped(records, server, name, now))

    async def change(self, changed: Callable[[Server], Server]) -> Server:
        """Have the server be otherwise. Raises LostError."""

        def step(records: Records, server: Server, _: int) -> Server:
            after = changed(server)
            if after != server:
                records.servers.put(after)
            return after

        return await self._write(step)

    async def remember(self, **arguments: Any) -> None:
        """Keep what came of it so far, for whoever goes on."""

        def kept(server: Server) -> Server:
            assert server.transition is not None
            return replace(
                server,
                transition=server.transition._replace(arguments={**server.transition.arguments, **arguments}),
            )

        await self.change(kept)

    async def hand_over(
        self,
        host: str | Callable[[Records, Server], str],
        changed: Callable[[Server], Server] = lambda server: server,
        **arguments: Any,
    ) -> None:
        """Another host goes on with it. One that is chosen in the same moment has the server from then on; choosing may
        raise. `arguments`: what is kept for it."""

        def step(records: Records, server: Server, _: int) -> Server:
            chosen = host if isinstance(host, str) else host(records, server)
            after = changed(server if isinstance(host, str) else replace(server, host=chosen))
            assert after.transition is not None
            doing = after.transition._replace(host=chosen, arguments={**after.transition.arguments, **arguments})
            after = replace(after, transition=doing)
            records.servers.put(after)
            return after

        await self._write(step)

    async def end(
        self,
        state: VmState | None = None,
        changed: Callable[[Server], Server] = lambda server: server,
        also: Callable[[Records, Server], None] = lambda _, __: None,
    ) -> None:
        """It is done. `state`: where the table does not say it."""

        def step(records: Records, server: Server, now: int) -> Server:
            also(records, server)
            return changes.ended(records, changed(server), now, state)

        await self._write(step)

    async def remove(self, also: Callable[[Records, Server], None] = lambda _, __: None) -> None:
        """There is no such server any more."""

        def step(records: Records, server: Server, now: int) -> Server:
            also(records, server)
            changes.removed(records, server, now)
            return server

        await self._write(step)

    async def fail(
        self,
        message: str,
        details: str = "",
        state: VmState | None = None,
        changed: Callable[[Server], Server] = lambda server: server,
        also: Callable[[Records, Server], None] = lambda _, __: None,
    ) -> None:
        """It cannot be done."""

        def step(records: Records, server: Server, now: int) -> Server:
            also(records, server)
            return changes.failed(records, changed(server), now, message, details, state=state)

        await self._write(step)

    async def _write(self, made: Callable[[Records, Server, int], Server]) -> Server:
        now = self._clock.wall_us()

        def step(records: Records) -> Server:
            server = records.servers.get(self.server.id)
            if server is None or server.transition is None or server.transition.id != self._id:
                raise LostError(f"server {self.server.id}: something else is done with it")
            if server.transition.host not in (self.host, ""):
                raise LostError(f"server {self.server.id}: {server.transition.host} goes on with it")
            return made(records, server, now)

        try:
            self.server = await self._store.change(step)
        except ConflictError as error:  # others write all the time: nothing is said of the server itself
            raise RetryableError(str(error)) from error
        return self.server
