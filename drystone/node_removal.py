"""Nodes that leave: emptied in good order, or removed when they are dead.

A node is removed in this order: its record goes, which ends its process and refuses its certificate; its devices leave
the ring; their records go. Whatever came to no end is gone on with by the same command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from drystone.device_records import delete_record, load_records
from drystone.layouts import Stored, load_ring, publish_layout
from drystone.node_records import NODE_CODEC, State, find_node, live_key, node_key, put_revoked
from store.core.errors import ConflictError, DamageError, NotFoundError
from store.registry import Compare, Delete, Registry
from store.registry.operations import OPERATIONS_MAX
from store.registry.single_key import replace as replace_key
from store.ring import Builder, Layout, Plan, plan


@dataclass(frozen=True)
class Removal:
    """What the removal of a node would do. `plan` is None where the ring has none of its devices."""

    name: str
    serial: str
    """Of its certificate; empty where its record has gone."""
    revision: int
    """Of its record; 0 where that has gone."""
    devices: tuple[int, ...]
    """All that are known as its own."""
    stored: Stored
    layout: Layout | None
    """The ring's next one, without them."""
    plan: Plan | None


async def find_removal(registry: Registry, cluster_key: bytes, name: str) -> Removal:
    """Raises NotFoundError for a node that is not known, InvalidError where the others are too few for a policy."""
    node = await find_node(registry, name)
    devices = tuple(sorted(number for number, each in (await load_records(registry)).items() if each.node == name))
    if node.record is None and not devices:
        raise NotFoundError(f"there is no node {name}: see 'drystone node list'")
    serial = node.record.serial if node.record is not None else ""
    stored = await _ring(registry, cluster_key)
    assert stored.ring is not None
    here = [number for number in devices if number in stored.ring.newest.devices]
    if not here:
        return Removal(name, serial, node.revision, devices, stored, None, None)
    builder = Builder(stored.ring.newest)
    for number in here:
        builder.remove(number)
    layout = builder.rebalance(stored.ring.newest.version + 1)
    moves = plan(stored.ring.newest, layout)
    return Removal(name, serial, node.revision, devices, stored, layout, moves)


async def remove(registry: Registry, cluster_key: bytes, removal: Removal, *, dead: bool, accept_loss: bool) -> None:
    """Raises ConflictError, with the next step, where it would lose something, or what was found has changed."""
    if dead:
        if await registry.get(live_key(removal.name)) is not None:
            raise ConflictError(
                f"node {removal.name} runs, or did some seconds ago: 'drystone node drain {removal.name}' empties it; "
                "if it is dead, try again in 10 seconds"
            )
        if removal.plan is not None and any(removal.plan.quorums_lost.values()) and not accept_loss:
            raise ConflictError(
                f"the devices of {removal.name} hold quorums of some partitions, whose newest rows would be lost with "
                "them: bring it back if that can be done; --accept-loss goes on"
            )
    else:
        _need_empty(removal)
    if removal.revision:
        compares = [Compare.unchanged(node_key(removal.name), removal.revision)]
        if dead:
            compares.append(Compare.absent(live_key(removal.name)))
        result = await registry.transact(compares, [Delete(node_key(removal.name)), put_revoked(removal.serial)])
        if not result.succeeded:
            raise ConflictError(f"node {removal.name} has changed meanwhile: try again")
    if removal.layout is not None:
        await publish_layout(registry, cluster_key, removal.stored, removal.layout)
    await _forget(registry, removal.devices)


async def drain(registry: Registry, cluster_key: bytes, name: str) -> Plan | None:
    """Begin to empty a node; what moves, or None where nothing is left to. Raises NotFoundError, ConflictError."""
    node = await find_node(registry, name)
    if node.record is None:
        raise NotFoundError(f"there is no node {name}: see 'drystone node list'")
    stored = await _ring(registry, cluster_key)
    assert stored.ring is not None
    if len(stored.ring.live) > 1:
        raise ConflictError("a change of the ring goes on (see 'drystone ring show'): try again when it is done")
    records = await load_records(registry)
    builder = Builder(stored.ring.newest)
    weighty = [
        number
        for number, device in stored.ring.newest.devices.items()
        if device.weight and number in records and records[number].node == name
    ]
    for number in weighty:
        builder.set_weight(number, 0)
    layout = builder.rebalance(stored.ring.newest.version + 1) if weighty else None
    if node.record.state is not State.DRAINING:
        record = replace(node.record, state=State.DRAINING)
        await replace_key(registry, node_key(name), NODE_CODEC.encode(record), node.revision)
    if layout is None:
        return None
    await publish_layout(registry, cluster_key, stored, layout)
    return plan(stored.ring.newest, layout)


def _need_empty(removal: Removal) -> None:
    ring = removal.stored.ring
    assert ring is not None
    weighty = [number for number in removal.devices if number in ring.devices and ring.devices[number].weight]
    if weighty:
        raise ConflictError(
            f"node {removal.name} has devices in use ({', '.join(map(str, weighty))}): 'drystone node drain "
            f"{removal.name}' empties it. If it is dead: 'drystone node remove --dead {removal.name}'"
        )
    if removal.devices and (len(ring.live) > 1 or ring.unclean):
        raise ConflictError(f"node {removal.name} is not empty yet (see 'drystone ring show'): try again later")


async def _ring(registry: Registry, cluster_key: bytes) -> Stored:
    stored = await load_ring(registry, cluster_key)
    if stored.ring is None:
        raise DamageError("there is no ring")
    return stored


async def _forget(registry: Registry, devices: Iterable[int]) -> None:
    deletes = [delete_record(number) for number in devices]
    for start in range(0, len(deletes), OPERATIONS_MAX):
        await registry.transact([], deletes[start : start + OPERATIONS_MAX])
