"""`ComputeAgent`: has the hypervisor of one host do what the records say.

Each transition of a server that this host is to do is done by a task of its own. One that fails in a way that passes
is tried again; one that cannot be done ends in words. Where the agent dies, the transition is still in the records: the
next start does it again.
"""

from __future__ import annotations

from typing import Final

import structlog
import trio

from compute_plugin.agent.doings import DOINGS
from compute_plugin.agent.doings.undoing import fail
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.inheriting import take_over
from compute_plugin.agent.keeping import Keeper
from compute_plugin.agent.standing import Standing
from compute_plugin.agent.watching import Watcher
from compute_plugin.agent.work import Work
from compute_plugin.lifecycle.changes import LostError
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from store.core.errors import DrystoneError, RetryableError

AT_ONCE: Final = 16
"""Transitions that one host does; more wait."""
AGAIN_S: Final = 1.0
AGAIN_MOST_S: Final = 15.0
PATIENCE_S: Final = 600.0
"""How long what passes may go on until a transition is given up; a deletion never is."""
INHERITED: Final = frozenset({"build", "delete", "soft-delete"})
"""What another host does where the one is gone whose it was."""

_log = structlog.get_logger(__name__)


class ComputeAgent:
    """Of one host."""

    def __init__(self, hands: Hands, standing: Standing) -> None:
        self._hands = hands
        self._standing = standing
        self._doing: dict[str, tuple[str, trio.CancelScope]] = {}
        """By server: the id of the transition that is done here."""
        self._room = trio.Semaphore(AT_ONCE)
        self._watcher = Watcher(hands, self._is_doing)

    async def run(self) -> None:
        """Until cancelled."""
        hands = self._hands
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._standing.run)
            nursery.start_soon(self._watcher.run)
            nursery.start_soon(Keeper(hands).run)
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
        if self._hands.is_first:  # what no host would do is done by the first of them
            mine += records.servers.by("doing", "")
            living = {one.id for one in self._hands.states().hosts}
            mine += [
                server
                for note in records.host_notes
                if note.id not in living and self._standing.is_away(note.id)
                for server in records.servers.by("doing", note.id)
                if server.transition is not None and server.transition.what in INHERITED
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
        except* DrystoneError as error:
            _log.warning("a server is looked at again later", server=server.id, error=str(error.exceptions[0]))
        finally:
            if self._doing.get(server.id, ("", scope))[1] is scope:
                del self._doing[server.id]
                self._watcher.ended(server.id)
        self._standing.look_again()

    async def _try(self, server: Server) -> None:
        hands = self._hands
        assert server.transition is not None
        if server.transition.host not in (hands.host, ""):
            server = await take_over(hands, server)
        assert server.transition is not None
        what, pause, begun = server.transition.what, AGAIN_S, hands.clock.monotonic()
        work = Work(hands.store, hands.clock, hands.host, server)
        failed = ""
        while True:
            try:
                await (fail(hands, work, failed) if failed else DOINGS[what](hands, work))
            except LostError:
                raise
            except RetryableError as error:
                _log.warning("a server is tried again", server=server.id, what=what, error=str(error))
                if what != "delete" and hands.clock.monotonic() >= begun + PATIENCE_S:
                    failed = failed or str(error)
                await trio.sleep(pause)
                pause = min(2 * pause, AGAIN_MOST_S)
            except Exception as error:
                if failed:
                    _log.exception("that a server cannot is told later", server=server.id, what=what)
                    await trio.sleep(AGAIN_MOST_S)
                elif isinstance(error, DrystoneError):
                    _log.warning("a server cannot", server=server.id, what=what, error=str(error))
                    failed = str(error) or type(error).__name__
                else:
                    _log.exception("a server cannot", server=server.id, what=what)
                    failed = "An unexpected error ended it."
            else:
                return
