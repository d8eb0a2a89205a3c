"""`ComputeService`: the compute API as one thing, made once a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog
import trio

from authn.service import IdentityService
from compute_plugin.clients.clients import Clients
from compute_plugin.consoles.interface import Consoles
from compute_plugin.networks.records.records import Records as NetworkRecords
from compute_plugin.records.states import States
from compute_plugin.records.store import ComputeStore
from compute_plugin.settings import Settings
from compute_plugin.tables.state_store import StateStore
from compute_plugin.v2.flavors.defaults import seed_flavors
from compute_plugin.v2.hosts.noted import keep_noted
from compute_plugin.v2.policy.table import compute_policy
from compute_plugin.v2.proxies.askers import Askers
from gateway.rest.policy import Policy
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, RetryableError
from store.registry import Registry

AGAIN_S: Final = 10.0
_log = structlog.get_logger(__name__)


class ComputeService:
    """Start `run` and wait until it has started; then everything here works."""

    def __init__(
        self,
        registry: Registry,
        identity: IdentityService,
        clock: Clock,
        random: Random,
        *,
        settings: Settings | None = None,
        policy: Policy | None = None,
        clients: Clients | None = None,
        consoles: Consoles | None = None,
        port_is_up: Callable[[str], bool] = lambda _: False,
        askers: Askers | None = None,
    ) -> None:
        """`clients`, `askers`: the other services; without them there are no servers. `port_is_up`: whether a port is
        wired."""
        self.registry = registry
        self.identity = identity
        self.clock = clock
        self.random = random
        self.settings = settings or Settings()
        self.policy = policy or compute_policy()
        self._clients = clients
        self._consoles = consoles
        self._askers = askers
        self.port_is_up = port_is_up
        self.store = ComputeStore(registry)
        self.states: StateStore[States] = StateStore(registry, States)

    @property
    def clients(self) -> Clients:
        """The other services."""
        assert self._clients is not None, "there are no other services"
        return self._clients

    @property
    def askers(self) -> Askers:
        """The other services, for clients that ask for them here."""
        assert self._askers is not None, "there are no other services"
        return self._askers

    @property
    def consoles(self) -> Consoles:
        """Of servers."""
        assert self._consoles is not None, "there are no consoles"
        return self._consoles

    def network_records(self) -> NetworkRecords:
        """What networks are to be, as this process knows it."""
        return self._clients.network_records() if self._clients is not None else NetworkRecords()

    async def network_fresh(self) -> NetworkRecords:
        """The same, with all that was acknowledged before."""
        return await self.clients.network_fresh()

    def new_id(self) -> str:
        """Of anything, as stock nova's."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(lambda task_status: self.states.run(task_status=task_status))
            nursery.start_soon(keep_noted, self)
            if not await self._seed():
                nursery.start_soon(self._seed_later)
            task_status.started()

    async def _seed(self) -> bool:
        """Whether what a new cloud has is there."""
        try:
            await self.store.change(seed_flavors)
        except (RetryableError, ConflictError) as error:
            _log.warning("the first flavors cannot be made for now", error=str(error))
            return False
        return True

    async def _seed_later(self) -> None:
        while True:
            await trio.sleep(AGAIN_S)
            if await self._seed():
                return
