"""`Standing`: that an agent lives, and which routers are its own, in the registry.

The agent's key and its routers' end with one lease. Who cannot keep it has lost its routers before others can take
them: `holds` is false from then on, by this machine's own clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import structlog
import trio

from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.records.states import (
    AGENTS,
    HOST_ADDRESSES,
    PREFIX,
    ROUTER_PLACES,
    AgentState,
    HostAddress,
    RouterPlace,
    States,
)
from store.core.clock import Clock
from store.core.errors import NotFoundError, RetryableError
from store.registry import Compare, Delete, Lease, Put, Registry

TTL_S: Final = 15
KEEP_S: Final = 4.0
WRITE_S: Final = 30.0
"""How often the time is told at which the agent was seen."""
LOOK_S: Final = 1.0
MARGIN_S: Final = 4.0
"""Before the lease can end anywhere, the routers are let go here."""

_log = structlog.get_logger(__name__)


class Standing:
    """Of the agent of one host."""

    def __init__(self, registry: Registry, host: Host, clock: Clock, bell: Bell, problems: tuple[str, ...]) -> None:
        """`bell` is rung when `holds` has changed."""
        self._registry = registry
        self._host = host
        self._clock = clock
        self._bell = bell
        self._lease: Lease | None = None
        self._kept = 0.0
        self._written = 0.0
        self._begun = False
        self._claimed: set[str] = set()
        """Routers that were taken with this lease."""
        self._state = AgentState(
            id=host.name,
            address=host.address,
            physical_networks=host.physical_networks(),
            started_us=clock.wall_us(),
            problems=problems,
        )

    @property
    def holds(self) -> bool:
        """Whether routers that are claimed here are so still."""
        return self._lease is not None and self._clock.monotonic() < self._kept + TTL_S - MARGIN_S

    @property
    def has_begun(self) -> bool:
        """Whether it has had a lease: before that, what is here is of an agent before this one."""
        return self._begun

    @property
    def ends(self) -> float:
        """When the lease ends at the earliest."""
        return self._kept + TTL_S

    @property
    def claimed(self) -> frozenset[str]:
        """Routers that are this host's with the lease that it has now."""
        return frozenset(self._claimed) if self.holds else frozenset()

    def warn(self, warnings: tuple[str, ...]) -> None:
        """What is wrong with this host; told with the next sign of life."""
        if warnings != self._state.warnings:
            self._state = replace(self._state, warnings=warnings)
            self._written = 0.0

    async def run(self) -> None:
        """Say it until cancelled. The lease is left to end by itself: the next life of this agent may begin before."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep)
            held = self.holds
            while True:
                await trio.sleep(LOOK_S)
                if held != self.holds:
                    held = self.holds
                    self._bell.ring()

    async def _keep(self) -> None:
        while True:
            try:
                await self._say()
            except RetryableError as error:
                _log.warning("the agent cannot say that it lives", error=str(error))
            await trio.sleep(KEEP_S if self._lease is not None else LOOK_S)

    async def claim(self, routers: Iterable[str], states: States) -> None:
        """Take routers that no other host has, and those that were this host's before. Raises RetryableError."""
        lease = self._lease
        if lease is None:
            return
        for router in routers:
            if router in self._claimed and states.routers.get(router) is not None:
                continue
            key = PREFIX + f"router/{router}".encode()
            place = ROUTER_PLACES.codec.encode(RouterPlace(id=router, host=self._host.name))
            item = await self._registry.get(key)
            if item is not None and item.value != place:
                continue
            if item is None or item.lease != lease.id:
                same = Compare.unchanged(key, item.mod_revision if item is not None else 0)
                try:
                    taken = await self._registry.transact([same], [Put(key, place, lease.id)])
                except NotFoundError:
                    self._lease = None
                    return
                if not taken.succeeded:
                    continue
            if self._lease is lease:
                self._claimed.add(router)

    async def release(self, routers: Iterable[str]) -> None:
        """Say no more that routers are here. Raises RetryableError."""
        for router in routers:
            self._claimed.discard(router)
            await self._registry.transact((), [Delete(PREFIX + f"router/{router}".encode())])

    async def _say(self) -> None:
        begun = self._clock.monotonic()
        if self._lease is None:
            lease = await self._registry.lease(TTL_S)
            try:
                await self._write(lease)
            except NotFoundError:
                _log.warning("this agent was taken for dead before it had begun")
                return
            self._lease, self._kept = lease, begun
            self._claimed = set()
            self._begun = True
            self._bell.ring()
            _log.info("the agent of networks is there", host=self._host.name)
            return
        try:
            await self._lease.keep_alive()
            if not self._written or begun >= self._written + WRITE_S:
                await self._write(self._lease)
        except NotFoundError:
            _log.warning("this agent was taken for dead")
            self._lease = None
        else:
            self._kept = begun

    async def _write(self, lease: Lease) -> None:
        """Raises NotFoundError where the lease has ended."""
        state = replace(self._state, seen_us=self._clock.wall_us())
        address = HostAddress(id=self._host.name, address=self._host.address)
        self._written = self._clock.monotonic()
        await self._registry.transact(
            (),
            [
                Put(PREFIX + f"agent/{state.id}".encode(), AGENTS.codec.encode(state), lease.id),
                Put(PREFIX + f"host/{address.id}".encode(), HOST_ADDRESSES.codec.encode(address)),
            ],
        )
