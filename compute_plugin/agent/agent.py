"""`ComputeAgent`: has the hypervisor of one host do what the records say.

Each transition of a server that this host is to do is done by a task of its own. One that fails in a way that passes
is tried again; one that cannot be done ends in words. Where the agent dies, the transition is still in the records: the
next start does it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog
import trio

from compute_plugin.agent.doings import DOINGS
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.standing import Standing
from compute_plugin.agent.watching import Watcher
from compute_plugin.agent.work import Work
from compute_plugin.lifecycle.changes import LostError
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from store.core.errors import DrystoneError, RetryableError

AT_ONCE: Final = 16
"""Transitions that one host does; more wait."""
AGAIN_S: Final = 1.0
AGAIN_MOST_S: Final = 15.0
PATIENCE_S: Final = 600.0
"""How long what passes may go on until a transition is given up."""

_log = structlog.get_logger(__name__)


class ComputeAgent:
    """Of one host."""

    def __init__(self, hands: Hands, standing: Standing) -> None:
        self._hands = hands
        self._standing = standing
        self._doing: dict[str, tuple[str, trio.CancelScope]] = {}
        """By server: the id of the transition that is done here."""
        self._room = trio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        hands = self._hands
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._standing.run)
            nursery.start_soon(Watcher(hands, self._is_doing).run)
            revision = 0
            while True:
                await self._look(nursery)
                with trio.move_on_after(AGAIN_MOST_S):  # hosts die without a change of the records
                    revision = await hands.store.later_than(revision)

    def _is_doing(self, server: str) -> bool:
        return server in self._doing

    async def _look(self, nursery: trio.Nursery) -> None:
        """Begin what is to be done here, and end what is no more."""
        records = self._hands.store.records
        for id_, (transition, scope) in list(self._doing.items()):
            server = records.servers.get(id_)
            now = server.transition if server is not None else None
            if now is None or now.id != transition or now.host not in (self._hands.host, ""):
                scope.cancel()
        for server in self._mine(records):
            assert server.transition is not None
            if server.id not in self._doing:
                scope = trio.CancelScope()
                self._doing[server.id] = (server.transition.id, scope)
                nursery.start_soon(self._do, server, scope)

    def _mine(self, records: Records) -> list[Server]:
        """Servers whose transition is this host's to do."""
        mine = records.servers.by("doing", self._hands.host)
        hosts = sorted(one.id for one in self._hands.states().hosts)
        if hosts and hosts[0] == self._hands.host:  # what no host would do is done by the first of them
            mine += records.servers.by("doing", "")
            living = set(hosts)
            mine += [
                one
                for one in records.servers
                if one.transition is not None
                and one.transition.what in ("delete", "build")
                and one.transition.host
                and one.transition.host not in living
                and self._standing.is_away(one.transition.host)
            ]
        return mine

    async def _do(self, server: Server, scope: trio.CancelScope) -> None:
        transition = server.transition
        assert transition is not None
        try:
            async with self._room:
                with scope:
                    await self._try(server)
        except* LostError as lost:
            _log.info("a server is another's to do", server=server.id, why=str(lost.exceptions[0]))
        finally:
            if self._doing.get(server.id, ("", scope))[1] is scope:
                del self._doing[server.id]
        self._standing.look_again()

    async def _try(self, server: Server) -> None:
        hands = self._hands
        assert server.transition is not None
        if server.transition.host not in (hands.host, ""):
            server = await self._take_over(server)
        assert server.transition is not None
        pause, until = AGAIN_S, hands.clock.monotonic() + PATIENCE_S
        work = Work(hands.store, hands.clock, hands.host, server)
        while True:
            try:
                await DOINGS[work.transition.what](hands, work)
            except LostError:
                raise
            except RetryableError as error:
                if hands.clock.monotonic() < until:
                    _log.warning(
                        "a server is tried again", server=server.id, what=work.transition.what, error=str(error)
                    )
                    await trio.sleep(pause)
                    pause = min(2 * pause, AGAIN_MOST_S)
                    continue
                await self._fail(work, str(error))
            except DrystoneError as error:
                _log.warning("a server cannot", server=server.id, what=work.transition.what, error=str(error))
                await self._fail(work, str(error))
            except Exception:
                _log.exception("a server cannot", server=server.id, what=work.transition.what)
                await self._fail(work, "An unexpected error ended it.")
            return

    async def _fail(self, work: Work, message: str) -> None:
        migration, now = str(work.arguments.get("migration", "")), self._hands.clock.wall_us()
        await work.fail(message, also=lambda records, _: migration_is(records, migration, "error", now))

    async def _take_over(self, server: Server) -> Server:
        """What a host that died was doing is this one's. Raises LostError where it is somebody else's by now."""
        assert server.transition is not None
        transition, host = server.transition, self._hands.host
        builds = transition.what == "build"

        def step(records: Records) -> Server:
            now = records.servers.get(server.id)
            if now is None or now.transition is None or now.transition.id != transition.id:
                raise LostError(f"server {server.id}: something else is done with it")
            if now.transition.host != transition.host:
                raise LostError(f"server {server.id}: {now.transition.host} goes on with it")
            after = replace(now, transition=now.transition._replace(host=host), host=host if builds else now.host)
            records.servers.put(after)
            return after

        return await self._hands.store.change(step)
