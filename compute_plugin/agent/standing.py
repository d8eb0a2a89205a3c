"""`Standing`: that a host's agent lives, and what its hypervisor has, in the registry: a key that ends with a lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

import structlog
import trio

from compute_plugin.hypervisors.interface import Inventory
from compute_plugin.records.states import HOSTS, HostState, States
from store.core.clock import Clock
from store.core.errors import DrystoneError, NotFoundError, RetryableError
from store.registry import Lease, Put, Registry

TTL_S: Final = 15
KEEP_S: Final = 4.0
AGAIN_S: Final = 1.0
WRITE_S: Final = 30.0
"""How often it is told anew what the host has."""
AWAY_S: Final = 30.0
"""So long a host has to be gone before others do what it left."""
GIB: Final = 1 << 30

_log = structlog.get_logger(__name__)

Room = Callable[[], Awaitable[tuple[int, int]]]
"""Bytes of the store in all, and those that are free."""


def hypervisor_uuid(cloud: str, host: str) -> str:
    """By which clients know a host's hypervisor: the same after every start."""
    return str(uuid5(NAMESPACE_DNS, f"{host}.{cloud}"))


class Standing:
    """Of the agent of one host."""

    def __init__(
        self,
        registry: Registry,
        inventory: Callable[[], Awaitable[Inventory]],
        clock: Clock,
        states: Callable[[], States],
        room: Room,
        state: HostState,
    ) -> None:
        """`inventory`: of the host's hypervisor; what it raises is told. `state`: what is known besides."""
        self._registry = registry
        self._inventory = inventory
        self._clock = clock
        self._states = states
        self._room = room
        self._state = replace(state, started_us=clock.wall_us())
        self._lease: Lease | None = None
        self._written = 0.0
        self._gone: dict[str, float] = {}
        self._look = trio.Event()
        self._seen_anew = trio.Event()

    async def run(self) -> None:
        """Say it until cancelled."""
        async with trio.open_nursery() as nursery:
            self._state = await self._seen()
            nursery.start_soon(self._keep_looking)
            while True:
                try:
                    await self._say()
                except RetryableError as error:
                    _log.warning("the agent of servers cannot say that it lives", error=str(error))
                with trio.move_on_after(KEEP_S if self._lease is not None else AGAIN_S):
                    await self._seen_anew.wait()
                self._seen_anew = trio.Event()

    async def _keep_looking(self) -> None:
        """A hypervisor may take longer to say what it has than a lease lasts."""
        while True:
            with trio.move_on_after(AGAIN_S if self._state.problems else WRITE_S):
                await self._look.wait()
            self._look = trio.Event()
            before = self._state
            self._state = await self._seen()
            if replace(before, seen_us=0) != replace(self._state, seen_us=0):
                self._written = 0.0
                self._seen_anew.set()

    def look_again(self) -> None:
        """What the host has may be otherwise by now."""
        if self._state.problems:
            self._look.set()

    def is_away(self, host: str) -> bool:
        """Whether a host has been gone for so long that others do what it left."""
        now = self._clock.monotonic()
        if self._states().hosts.get(host) is not None:
            self._gone.pop(host, None)
            return False
        return now >= self._gone.setdefault(host, now) + AWAY_S

    async def _say(self) -> None:
        begun = self._clock.monotonic()
        if self._lease is None:
            lease = await self._registry.lease(TTL_S)
            await self._write(lease)
            self._lease = lease
            return
        try:
            await self._lease.keep_alive()
            if not self._written or begun >= self._written + WRITE_S:
                await self._write(self._lease)
        except NotFoundError:
            _log.warning("this agent of servers was taken for dead")
            self._lease = None

    async def _write(self, lease: Lease) -> None:
        """Raises NotFoundError where the lease has ended."""
        self._written = self._clock.monotonic()
        self._state = replace(self._state, seen_us=self._clock.wall_us())
        key = States().key_of(HOSTS, self._state.id)
        await self._registry.transact((), [Put(key, HOSTS.codec.encode(self._state), lease.id)])

    async def _seen(self) -> HostState:
        total, free = await self._room()
        state = replace(
            self._state, seen_us=self._clock.wall_us(), disk_gib=total // GIB, free_disk_gib=free // GIB, problems=()
        )
        try:
            found = await self._inventory()
        except DrystoneError as error:
            return replace(state, problems=(str(error),))
        return replace(
            state,
            kind=found.kind,
            version=found.version,
            vcpus=found.vcpus,
            memory_mib=found.memory_mib,
            cpu=dict(found.cpu),
            can=tuple(sorted(found.can)),
        )
