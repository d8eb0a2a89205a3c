"""`NetworkService`: the network API as one thing, made once a process."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog
import trio

from authn.service import IdentityService
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from compute_plugin.networks.settings import Settings
from compute_plugin.networks.v2.addressing.own_addresses import complete
from compute_plugin.networks.v2.policy.table import network_policy
from gateway.rest.policy import Policy
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, RetryableError
from store.registry import Registry

AGAIN_S: Final = 10.0
_log = structlog.get_logger(__name__)


class NetworkService:
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
    ) -> None:
        self.registry = registry
        self.identity = identity
        self.clock = clock
        self.random = random
        self.settings = settings or Settings()
        self.policy = policy or network_policy()
        self.store = NetworkStore(registry)
        self.states = StateStore(registry)
        self._undone = trio.Event()

    def new_id(self) -> str:
        """Of anything, as stock neutron's."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    def left_undone(self) -> None:
        """Something is to be completed that could not be for now."""
        self._undone.set()
        self._undone = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(lambda task_status: self.states.run(task_status=task_status))
            task_status.started()
            await self._complete()

    async def _complete(self) -> None:
        """What a process before this one has left undone, or this one."""
        while True:
            undone = self._undone
            try:
                await complete(self.store, self.clock)
                await undone.wait()
            except (RetryableError, ConflictError) as error:
                _log.warning("networks cannot complete what was left undone, for now", error=str(error))
                await trio.sleep(AGAIN_S)
