"""`ComputeService`: the compute API as one thing, made once a process."""

from __future__ import annotations

from uuid import UUID

import trio

from authn.service import IdentityService
from compute_plugin.records.states import States
from compute_plugin.records.store import ComputeStore
from compute_plugin.settings import Settings
from compute_plugin.tables.state_store import StateStore
from compute_plugin.v2.policy.table import compute_policy
from gateway.rest.policy import Policy
from store.core.clock import Clock
from store.core.entropy import Random
from store.registry import Registry


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
    ) -> None:
        self.registry = registry
        self.identity = identity
        self.clock = clock
        self.random = random
        self.settings = settings or Settings()
        self.policy = policy or compute_policy()
        self.store = ComputeStore(registry)
        self.states: StateStore[States] = StateStore(registry, States)

    def new_id(self) -> str:
        """Of anything, as stock nova's."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.store.run(task_status=task_status))
            await nursery.start(lambda task_status: self.states.run(task_status=task_status))
            task_status.started()
