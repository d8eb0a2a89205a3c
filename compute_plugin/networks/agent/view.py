"""`View`: what is on the host, as it was read last, and what of that has to be read again.

Each space is read when it is new, and when the kernel told of a change in it. Of our tables it is only known whether
they are what was put there last: any change by another process means that nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import structlog
import trio

from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.agent.netlink.sockets import Sockets, inode
from compute_plugin.networks.agent.reading import seen_space, spaces_there
from compute_plugin.networks.agent.seen import Seen, SeenService, SeenSpace
from compute_plugin.networks.agent.services import ended, seen_service, seen_services
from compute_plugin.networks.agent.watching import follow_links, follow_rules, forget_links, heard_of_rules
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import HOST, Wiring

_log = structlog.get_logger(__name__)


class View:
    """Of one host. Its watchers run in a nursery that ends before it is closed."""

    def __init__(self, run_folder: str, bell: Bell, nursery: trio.Nursery) -> None:
        """`bell` is rung when something has to be read again."""
        self._run_folder = run_folder
        self._bell = bell
        self._nursery = nursery
        self._open: dict[str, _Watched] = {}
        self._spaces: dict[str, SeenSpace] = {}
        self._services: dict[str, SeenService] = {}
        self._stale_services: set[str] | None = None
        """None: all of them."""
        self._processes: dict[str, int] = {}
        """By folders of services: processes whose ends are waited for."""
        self._broken: frozenset[str] = frozenset()
        self._own: set[int] = set()
        """Processes of ours that change rules."""
        self._planned: set[str] = set()
        """Names of links of the host that are in the plan."""

    async def read(self, wiring: Wiring) -> Seen:
        """What there is now. Reads what has changed since it was read last."""
        planned = {link.name for link in wiring.host.links}
        self._look_for_spaces()
        if not planned <= self._planned:
            self._open[HOST].stale = True  # events of links that mattered to nobody then were passed over
        self._planned = planned
        sysctls = {space.name: [path for path, _ in space.sysctls] for space in wiring.spaces}
        due = {name: watched.sockets for name, watched in self._open.items() if self._is_due(name, sysctls.get(name))}
        services, self._stale_services = self._stale_services, set()
        for name, sockets in due.items():
            forget_links(sockets)  # such as of what we did ourselves: otherwise all would be read once more
            self._open[name].stale = False

        def read() -> None:
            for name, sockets in due.items():
                try:
                    self._spaces[name] = seen_space(sockets, sysctls.get(name, ()))
                except FileNotFoundError:  # the namespace went just now
                    self._spaces.pop(name, None)
            self._read_services(services)

        for watched in self._open.values():
            watched.meddled = False
        await trio.to_thread.run_sync(read)
        self._follow_services()
        spaces = {name: replace(seen, tables=self._open[name].tables) for name, seen in self._spaces.items()}
        return Seen(spaces, dict(self._services), self._broken)

    def _is_due(self, name: str, sysctls: list[str] | None) -> bool:
        seen = self._spaces.get(name)
        return self._open[name].stale or seen is None or not set(sysctls or ()) <= set(seen.sysctls)

    def is_settled(self) -> bool:
        """Whether nothing has to be read again."""
        if not self._open or self._stale_services is None or self._stale_services:
            return False
        watched = self._open.values()
        return all(not one.stale and not one.meddled and one.tables is not None for one in watched)

    def began(self, process: int) -> None:
        """A process is ours: what it does to rules is known."""
        self._own.add(process)

    def ended(self, process: int) -> None:
        """It is no more: its number may be another's."""
        for watched in self._open.values():
            heard_of_rules(watched.sockets, partial(self._heard, watched))
        self._own.discard(process)

    def put(self, space: str, tables: tuple[Table, ...] | None) -> None:
        """What the tables of a space are now; None where that is not known."""
        watched = self._open.get(space)
        if watched is not None:
            watched.tables = None if watched.meddled else tables

    def changed(self, spaces: Iterable[str], services: Iterable[str] = ()) -> None:
        """Spaces, and folders of services, have to be read again."""
        for name in spaces:
            if name in self._open:
                self._open[name].stale = True
        if self._stale_services is not None:
            self._stale_services |= set(services)

    def all_changed(self) -> None:
        """Everything has to be read again, but for rules, of which each change is told."""
        self._stale_services = None
        self.changed(list(self._open))

    def namespaces_changed(self) -> bool:
        """Whether there are others than those that were read last."""
        there = spaces_there()
        if there != (set(self._open) | self._broken) - {HOST}:
            return True
        return any(not _is_same(name, watched) for name, watched in self._open.items() if name != HOST)

    def spaces(self) -> dict[str, int]:
        """Namespaces that are there, and which they are."""
        return {name: watched.sockets.inode for name, watched in self._open.items() if name != HOST}

    def close(self) -> None:
        for watched in self._open.values():
            watched.sockets.close()
        self._open.clear()

    def _look_for_spaces(self) -> None:
        there = {HOST, *spaces_there()}
        for name in list(self._open):
            if name not in there or (name != HOST and not _is_same(name, self._open[name])):
                self._forget(name)
        broken = set()
        for name in sorted(there - set(self._open)):
            try:
                self._watch(name)
            except OSError as error:
                if name == HOST:
                    raise
                broken.add(name)
                _log.warning("a namespace cannot be entered", space=name, error=str(error))
        self._broken = frozenset(broken)

    def _watch(self, name: str) -> None:
        watched = self._open[name] = _Watched(Sockets(name))
        self._nursery.start_soon(self._follow_links, name, watched)
        self._nursery.start_soon(self._follow_rules, watched)

    async def _follow_links(self, name: str, watched: _Watched) -> None:
        def matters(index: int, link: str) -> bool:
            return name != HOST or self._matters(index, link)

        def changed() -> None:
            watched.stale = True
            self._bell.ring()

        with watched.scope_of_links:
            await follow_links(watched.sockets, matters, changed)

    async def _follow_rules(self, watched: _Watched) -> None:
        with watched.scope_of_rules:
            await follow_rules(watched.sockets, partial(self._heard, watched))

    def _heard(self, watched: _Watched, process: int | None) -> None:
        """A process has changed our rules."""
        if process not in self._own:
            watched.tables = None
            watched.meddled = True
            self._bell.ring()

    def _matters(self, index: int, link: str) -> bool:
        """Whether a link of the host has to do with us."""
        if link:
            return names.is_ours(link) or link in self._planned
        host = self._spaces.get(HOST)
        found = next((one for one in host.links.values() if one.index == index), None) if host is not None else None
        return found is not None and (names.is_ours(found.name) or found.name in self._planned)

    def _forget(self, name: str) -> None:
        watched = self._open.pop(name)
        watched.scope_of_links.cancel()
        watched.scope_of_rules.cancel()
        watched.sockets.close()
        self._spaces.pop(name, None)
        self.changed((), [f"{self._run_folder}/{name}"])  # what runs there runs in none of ours now

    def _follow_services(self) -> None:
        for folder, service in self._services.items():
            if service.process and self._processes.get(folder) != service.process:
                self._processes[folder] = service.process
                self._nursery.start_soon(self._follow_process, folder, service.process)

    async def _follow_process(self, folder: str, process: int) -> None:
        await ended(process)
        if self._processes.get(folder) == process:
            del self._processes[folder]
            self.changed((), [folder])
            self._bell.ring()

    def _read_services(self, folders: set[str] | None) -> None:
        if folders is None:
            self._services = seen_services(self._run_folder)
            return
        for folder in folders:
            try:
                self._services[folder] = seen_service(folder)
            except FileNotFoundError:
                self._services.pop(folder, None)


class _Watched:
    """A space that is there."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.stale = True
        self.tables: tuple[Table, ...] | None = None
        self.meddled = False
        """Whether others have changed them since this was last read."""
        self.scope_of_links = trio.CancelScope()
        self.scope_of_rules = trio.CancelScope()


def _is_same(name: str, watched: _Watched) -> bool:
    try:
        return inode(name) == watched.sockets.inode
    except OSError:
        return False
