"""The nodes of the cluster, as the registry says; and what this node says of itself there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
import trio

from drystone.links import REMOVED
from drystone.node_records import (
    LIFE_CODEC,
    NODE_CODEC,
    NODES,
    Life,
    NodeRecord,
    State,
    find_node,
    live_key,
    load_nodes,
    node_key,
)
from store.core.errors import ConflictError, NewerError, NotFoundError, RetryableError
from store.registry import Event, Registry
from store.registry.follow import follow
from store.registry.single_key import put
from store.registry.single_key import replace as replace_key

log = structlog.get_logger()

LEASE_SECONDS: Final = 10
"""So long after it was heard of last, a node is not live any more."""
KEEP_SECONDS: Final = 3.0
AGAIN_SECONDS: Final = 1.0
REVOKE_SECONDS: Final = 1.0


class Members:
    """What is known of all nodes. While the registry is away that is what it said last."""

    def __init__(self, registry: Registry, name: str, serial: str) -> None:
        """`name` and `serial` are those of this node."""
        self._registry = registry
        self._name = name
        self._serial = serial
        self.nodes: Mapping[str, NodeRecord] = {}
        self.on_change: list[Callable[[], None]] = []
        """Called when any node has changed."""

    @property
    def others(self) -> dict[str, NodeRecord]:
        """The nodes that are to be dialled: all but this one and those that have not come yet."""
        return {
            name: record
            for name, record in self.nodes.items()
            if name != self._name and record.state is not State.JOINING
        }

    async def load(self) -> None:
        """Read what the registry says. Raises ConflictError where this node is none of them."""
        before, self.nodes = self.nodes, await load_nodes(self._registry)
        mine = self.nodes.get(self._name)
        if mine is None or mine.serial != self._serial:
            raise ConflictError(REMOVED)
        if before != self.nodes:
            for tell in self.on_change:
                tell()

    async def run(self) -> None:
        """Follow the registry until cancelled. Raises as `load`."""

        async def look() -> None:
            try:
                await self.load()
            except NewerError as error:  # while nodes are upgraded one by one
                log.warning("what is known of nodes stays as it was", why=str(error))

        async def changed(_event: Event) -> None:
            await look()

        await follow(self._registry, NODES, look, changed)


async def say_member(registry: Registry, name: str, serial: str) -> None:
    """A node that was joining is a member: it has all that it needs. Raises ConflictError where it was removed, or
    another has its name."""
    while True:
        stored = await find_node(registry, name)
        if stored.record is None or stored.record.serial != serial:
            raise ConflictError(f"node {name} was removed, or another has joined under its name: join again")
        if stored.record.state is not State.JOINING:
            return
        record = replace(stored.record, state=State.MEMBER)
        try:
            await replace_key(registry, node_key(name), NODE_CODEC.encode(record), stored.revision)
        except ConflictError:
            continue
        return


async def stay_live(
    registry: Registry, name: str, life: Life, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Have the registry say that this node lives, until cancelled; started when it does."""
    said = False
    while True:
        try:
            lease = await registry.lease(LEASE_SECONDS)
            await put(registry, live_key(name), LIFE_CODEC.encode(life), lease=lease.id)
            if not said:
                said = True
                task_status.started()
            try:
                while True:
                    await trio.sleep(KEEP_SECONDS)
                    await lease.keep_alive()
            except trio.Cancelled:
                with trio.move_on_after(REVOKE_SECONDS, shield=True), suppress(RetryableError):
                    await lease.revoke()
                raise
        except NotFoundError:
            log.warning("the registry has not heard of this node for a while", node=name)
        except RetryableError as error:
            log.warning("the registry cannot be told that this node lives", node=name, error=str(error))
            await trio.sleep(AGAIN_SECONDS)
