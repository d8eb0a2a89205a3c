"""`Agent`: makes one host equal to the records, again after every change of either.

Round by round: what there is to be is planned, what there is is read, and the difference is done. Where nothing is left
to be done it waits for the records or the kernel to tell of a change. Links, services and packets go on when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
import trio

from compute_plugin.networks.agent import announcing, connections, other_rules, port_states, translations
from compute_plugin.networks.agent.applying import Applier, Failure
from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.agent.claims import contested, gone, wanted, without
from compute_plugin.networks.agent.difference import difference
from compute_plugin.networks.agent.fence import Fence
from compute_plugin.networks.agent.metadata.answers import from_port
from compute_plugin.networks.agent.metadata.asking import Answers
from compute_plugin.networks.agent.metadata.servers import metadata_served
from compute_plugin.networks.agent.outside_names.relay import names_served
from compute_plugin.networks.agent.outside_names.resolvers import resolvers_of
from compute_plugin.networks.agent.requirements import load_modules, problems, raise_limits
from compute_plugin.networks.agent.seen import Seen, SeenLink
from compute_plugin.networks.agent.served import Served
from compute_plugin.networks.agent.standing import Standing
from compute_plugin.networks.agent.steps import ReloadService, SetTables, StartService, Step, StopService
from compute_plugin.networks.agent.view import View
from compute_plugin.networks.plan.desired import Planner
from compute_plugin.networks.plan.fence import LINKS, members
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.revocation import concerned
from compute_plugin.networks.plan.wiring import HOST, Wiring
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from store.core.clock import Clock
from store.core.errors import RetryableError
from store.registry import Registry

GATHER_S: Final = 0.02
"""What comes this close together is done in one round."""
LOOK_S: Final = 5.0
"""How often it is looked whether namespaces are still there."""
TEND_S: Final = 1.0
"""How often it is looked whether the lease was kept."""
COMPARE_S: Final = 60.0
"""How often all of the host is read again."""
AGAIN_S: Final = 1.0
AGAIN_MOST_S: Final = 8.0
"""What could not be done is tried again after this, and at most."""
UNREAD_MOST: Final = 5
"""So often in a row the host does not let itself be read before the agent ends with that."""
ROUNDS: Final = 5
"""Without a pause, as long as each finds something else to do."""

_log = structlog.get_logger(__name__)


class Agent:
    """Of one host. `store` and `states` run."""

    def __init__(
        self,
        registry: Registry,
        store: NetworkStore,
        states: StateStore,
        host: Host,
        clock: Clock,
        *,
        metadata: Answers = from_port,
    ) -> None:
        """`metadata` answers what servers ask of themselves."""
        self._metadata = metadata
        self._registry = registry
        self._store = store
        self._states = states
        self._host = host
        self._clock = clock
        self._bell = Bell()
        self._fence = Fence(clock)
        self._failures: list[Failure] = []
        self._planned: tuple[object, ...] = ()
        self._planner = Planner(host)
        self._wiring: Wiring | None = None
        self._settled: Wiring | None = None
        """With which there was nothing left to be done when the host was read last."""
        self._seen = Seen({})
        self._in_force: Wiring | None = None
        """Whose rules are in force; None where nothing is known."""
        self._told: tuple[Wiring, Mapping[str, SeenLink], list[str]] | None = None
        """What others were told last was of these."""
        self._unread = 0
        """Rounds in a row in which the host did not let itself be read."""
        self._said: set[str] = set()
        """Failures that are in the log."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started after the first round. Where something is missing that it cannot do without, it says
        so in the registry and does nothing else. Raises OSError where the host cannot be read for long."""
        await load_modules()
        missing = problems()
        standing = Standing(self._registry, self._host, self._clock, self._bell, missing)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(standing.run)
            if missing:
                _log.error("networks are not wired on this host", problems=missing)
                task_status.started()
                await trio.sleep_forever()
            raise_limits()
            nursery.start_soon(self._follow_records)
            nursery.start_soon(self._follow_states)
            view = View(self._host.run, self._bell, nursery)
            servers = (
                metadata_served(nursery, lambda: self._store.records, self._metadata),
                names_served(nursery, resolvers_of(self._host.resolvers)),
            )
            nursery.start_soon(self._look, view, standing)
            nursery.start_soon(self._tend_always, standing)
            try:
                await self._go_round(view, standing, servers, task_status)
            finally:
                view.close()
                self._fence.close()

    async def _go_round(
        self, view: View, standing: Standing, servers: Sequence[Served], task_status: trio.TaskStatus[None]
    ) -> None:
        await self._try_rounds(view, standing, servers)
        task_status.started()
        pause = AGAIN_S
        due = self._clock.monotonic() + pause
        while True:
            patience = max(0.0, due - self._clock.monotonic()) if self._failures else math.inf
            with trio.move_on_after(patience) as waiting:
                await self._bell.wait()
                await trio.sleep(GATHER_S)
            if self._failures and waiting.cancelled_caught:
                self._failures = []
                view.all_changed()
                pause = min(2 * pause, AGAIN_MOST_S)
                due = self._clock.monotonic() + pause
            await self._try_rounds(view, standing, servers)
            if not self._failures:
                pause = AGAIN_S
                due = self._clock.monotonic() + pause

    async def _try_rounds(self, view: View, standing: Standing, servers: Sequence[Served]) -> None:
        """What the host does not let be read is tried again."""
        try:
            await self._rounds(view, standing, servers)
            self._unread = 0
        except OSError as error:
            self._unread += 1
            if self._unread >= UNREAD_MOST:
                raise
            _log.warning("the host cannot be read", error=str(error))
            await trio.sleep(AGAIN_S)
            view.all_changed()
            self._bell.ring()

    async def _rounds(self, view: View, standing: Standing, servers: Sequence[Served]) -> None:
        """Until nothing is left to be done, but for what cannot be done now."""
        wiring = self._plan(standing)
        if wiring is None:
            return
        for _ in range(ROUNDS):
            wiring = self._plan(standing) or wiring
            await self._tend(standing)
            if wiring is self._settled and view.is_settled() and not self._failures:
                break
            self._settled = None
            self._seen = await view.read(wiring)
            failed = [failure.step for failure in self._failures]
            steps = [step for step in difference(wiring, self._seen) if step not in failed]
            if not steps:
                self._settled = wiring
                break
            self._failures += await self._do(steps, view, wiring)
            self._tell_failures()
        else:
            self._bell.ring()
        if not wiring.legs and not any(name.startswith(LINKS) for name in self._seen.spaces[HOST].links):
            await self._fence.remove()
        for one in servers:
            one.follow(view.spaces())
        await self._tell(wiring, self._seen, standing)

    def _plan(self, standing: Standing) -> Wiring | None:
        """Anew where anything has changed that it is made from. None where no plan could be made yet."""
        states = self._states.states
        keeps = standing.holds or not standing.has_begun  # before that, the fence sees to it that nobody is too much
        made_from = (self._store.revision, keeps, tuple(states.hosts), tuple(states.routers))
        if made_from != self._planned:
            self._planned = made_from
            told = states if keeps else without(states, self._host.name)
            try:
                self._wiring = self._planner.plan(self._store.records, told)
            except Exception:
                _log.exception("these networks cannot be planned: the host stays as it is")
        return self._wiring

    async def _tend(self, standing: Standing) -> None:
        """The fence of routers: before what is planned is done, and whenever the lease was kept."""
        if self._wiring is None or not standing.has_begun:
            return
        claimed, ends = standing.claimed, standing.ends
        others = contested(self._store.records, self._states.states, self._host.name)
        await self._fence.tend(members(self._wiring.legs, claimed, others), ends)

    async def _tend_always(self, standing: Standing) -> None:
        while True:
            await trio.sleep(TEND_S)
            try:
                await self._tend(standing)
            except OSError as error:  # such as when no process can be started
                _log.warning("the fence of routers cannot be tended", error=str(error))

    async def _do(self, steps: Sequence[Step], view: View, wiring: Wiring) -> list[Failure]:
        failures = await Applier(view.began, view.ended).apply(steps)
        failed = [failure.step for failure in failures]
        for step in steps:
            if isinstance(step, SetTables):
                view.put(step.space, None if step in failed else step.after)
                if step.space == HOST and step not in failed:
                    await self._cut(wiring)
                elif step not in failed:
                    await translations.cut(step.space, step.before, step.after)
        announcing.announce([step for step in steps if step not in failed], wiring)
        folders = [step.service.folder for step in steps if isinstance(step, StartService | ReloadService)]
        folders += [step.folder for step in steps if isinstance(step, StopService)]
        view.changed({step.space for step in steps if not isinstance(step, SetTables)}, folders)
        return failures

    async def _cut(self, wiring: Wiring) -> None:
        """Connections that were revoked: the rules that are in force now are those of `wiring`."""
        zones = concerned(self._in_force, wiring)
        self._in_force = wiring
        if zones:
            await connections.cut(zones, wiring, self._store.records)

    def _tell_failures(self) -> None:
        now = {failure.why for failure in self._failures}
        for why in sorted(now - self._said):
            _log.warning("a part of the networks cannot be wired", why=why)
        self._said = now

    async def _tell(self, wiring: Wiring, seen: Seen, standing: Standing) -> None:
        """What is so on this host, to others."""
        links = seen.spaces[HOST].links
        whys = [failure.why for failure in self._failures]
        states = self._states.states
        try:
            if self._told is None or self._told[0] is not wiring or self._told[1] is not links or self._told[2] != whys:
                self._told = None
                told = port_states.port_states(wiring, seen.spaces[HOST], self._failures, self._host.name)
                await port_states.tell(self._registry, states, told, self._host.name)
                self._told = (wiring, links, whys)
            if standing.holds:
                await standing.claim(wanted(self._store.records, states, self._host.name), states)
                await standing.release(gone(self._store.records, states, self._host.name))
        except RetryableError as error:
            _log.warning("the agent cannot say what it did", error=str(error))
            self._told = None

    async def _follow_records(self) -> None:
        revision = self._store.revision
        while True:
            revision = await self._store.later_than(revision)
            self._bell.ring()

    async def _follow_states(self) -> None:
        while True:
            await self._states.changed()
            self._bell.ring()

    async def _look(self, view: View, standing: Standing) -> None:
        """What the kernel does not tell of."""
        standing.warn(await other_rules.warnings())
        compared = self._clock.monotonic()
        while True:
            await trio.sleep(LOOK_S)
            if self._clock.monotonic() >= compared + COMPARE_S:
                compared = self._clock.monotonic()
                standing.warn(await other_rules.warnings())
                view.all_changed()
                self._bell.ring()
            elif view.namespaces_changed():
                view.changed([HOST])
                self._bell.ring()
