"""`NetworkService`: the network API as one thing, made once a process."""

from __future__ import annotations

from uuid import UUID

import trio

from authn.service import IdentityService
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.store import NetworkStore
from compute_plugin.networks.settings import Settings
from compute_plugin.networks.v2.policy.table import network_policy
from gateway.rest.policy import Policy
from store.core.clock import Clock
from store.core.entropy import Random
from store.registry import Registry


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

    def new_id(self) -> str:
        """Of anything, as stock neutron's."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(lambda task_status: self.states.run(task_status=task_status))
            task_status.started()
