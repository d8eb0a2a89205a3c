"""A process of agents that dies, or is held up, at a call that changes something: of the registry, a hypervisor, the
store or another service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

import trio

from compute_plugin.agent.hands import Hands
from compute_plugin.clients.image_records import ImageRecords
from compute_plugin.clients.local_disks import LocalDisks
from compute_plugin.clients.networks import Networks
from compute_plugin.clients.volumes import Volumes
from compute_plugin.records.store import ComputeStore
from gateway.rest.inside import App
from store.registry import Compare, Delete, Lease, Operation, Put, Registry, Span, TransactionResult
from store.registry.items import Item
from tests.compute_servers.cloud import Cloud
from tests.gateway_rest.mortal_registry import DeadError

CHANGES: Final = frozenset(
    {
        # Of hypervisors.
        "start", "stop", "reboot", "pause", "unpause", "save", "attach_disk", "detach_disk", "grow_disk", "attach_nic",
        "detach_nic", "set_password", "interrupt",
        # Of the store.
        "create", "resize", "delete", "snapshot", "delete_snapshot", "clone",
        # Of images.
        "seal", "abandon",
    }
)  # fmt: skip
Happening = Callable[[], Awaitable[None]]


async def die() -> None:
    """What happens where the process ends."""
    raise DeadError


class Life:
    """Of one process. At the call number `at` something happens: before it, or, with `after`, when it has been done and
    nobody was told."""

    def __init__(self, at: int | None = None, happens: Happening = die, *, after: bool = False) -> None:
        self.at = at
        self.after = after
        self.calls = 0
        """That were counted, from `watch` on."""
        self.names: list[str] = []
        self._happens = happens
        self._watched = False
        self.is_over = False

    def watch(self) -> None:
        """Calls count from now on."""
        self._watched = True

    def check(self) -> None:
        """Raises DeadError of a dead process."""
        if self.is_over:
            raise DeadError

    async def call(self, name: str, done: Callable[[], Awaitable[Any]]) -> Any:
        """A call that changes something."""
        self.check()
        if not self._watched:
            return await done()
        number, self.calls = self.calls, self.calls + 1
        self.names.append(name)
        if number == self.at and not self.after:
            await self._happen()
        result = await done()
        if number == self.at and self.after:
            await self._happen()
        return result

    async def _happen(self) -> None:
        try:
            await self._happens()
        except DeadError:
            self.is_over = True
            raise


class MortalCalls:
    """Anything whose methods are called by a process."""

    def __init__(self, called: Any, life: Life, name: str) -> None:
        self._called = called
        self._life = life
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._called, name)
        if name not in CHANGES:
            return found

        async def call(*positional: Any, **named: Any) -> Any:
            return await self._life.call(f"{self._name}.{name}", lambda: found(*positional, **named))

        return call


class MortalWrites:
    """A registry, whose writes count."""

    def __init__(self, registry: Registry, life: Life) -> None:
        self._registry = registry
        self._life = life

    async def revision(self) -> int:
        return await self._registry.revision()

    async def get(self, key: bytes) -> Item | None:
        self._life.check()
        return await self._registry.get(key)

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        self._life.check()
        return await self._registry.range(span, limit=limit, reverse=reverse)

    async def lease(self, ttl_s: int) -> Lease:
        return await self._registry.lease(ttl_s)

    async def transact(
        self, compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation] = ()
    ) -> TransactionResult:
        if not any(isinstance(one, Put | Delete) for one in on_success):
            self._life.check()
            return await self._registry.transact(compares, on_success, on_failure)
        found: TransactionResult = await self._life.call(
            "registry.write", lambda: self._registry.transact(compares, on_success, on_failure)
        )
        return found

    def watch(self, span: Span, from_revision: int = 0) -> AbstractAsyncContextManager[Any]:
        return self._registry.watch(span, from_revision)


def mortal_app(app: App, life: Life, name: str) -> App:
    """A service, of whose requests those count that change something."""

    async def called(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        life.check()
        if scope["method"] == "GET":
            await app(scope, receive, send)
        else:
            await life.call(f"{name}.{scope['method'].lower()}", lambda: app(scope, receive, send))

    return called


class Doomed:
    """The agents of all hosts of a cloud, as one process."""

    def __init__(self, cloud: Cloud, life: Life) -> None:
        self.cloud = cloud
        self.life = life
        self.without: frozenset[str] = frozenset()
        """Hosts that are gone."""
        self.store = ComputeStore(MortalWrites(cloud.registry, life))

    def hands(self, hands: Hands) -> Hands:
        """What an agent works with that is of this process."""
        cloud, life = self.cloud, self.life
        hypervisor: Any = MortalCalls(hands.hypervisor, life, "hypervisor")
        store: Any = MortalCalls(cloud.store, life, "store")
        images: Any = MortalCalls(hands.images, life, "images")
        return replace(
            hands,
            store=self.store,
            hypervisor=hypervisor,
            volumes=Volumes(mortal_app(cloud.volume_app, life, "volumes")),
            networks=Networks(mortal_app(cloud.network_app, life, "networks")),
            disks=LocalDisks(store),
            images=images,
            image_records=ImageRecords(mortal_app(cloud.image_app, life, "images")),
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until it dies, or is cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(lambda task_status: self.store.run(task_status=task_status))
                for name, host in self.cloud.hosts.items():
                    if name in self.without:
                        continue
                    nursery.start_soon(host.run_with, self.hands(host.hands))
                task_status.started()
        except* DeadError:
            pass
