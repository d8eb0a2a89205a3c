"""A dead node is removed while others go on with a change of the ring."""

from __future__ import annotations

from dataclasses import replace

from drystone import layouts
from drystone.device_records import DeviceRecord, load_records, save_records
from drystone.layouts import Stored, load_ring, step_ring
from drystone.node_records import NODE_CODEC, find_node, node_key
from drystone.node_removal import find_removal, remove
from store.core.clock import SystemClock
from store.registry import Put, memory_registry
from tests.membership.test_records import NODE

KEY = bytes(16)
NAMES = "abcd"


async def test_what_nodes_have_done_since_is_kept() -> None:
    registry = memory_registry(SystemClock())
    added = tuple(layouts.Change("add", (1, zone, name, 4.0, "disk")) for zone, name in enumerate(NAMES))
    first = layouts.Staged(added, 0).builder(None).rebalance(1)
    await layouts.publish_layout(registry, KEY, Stored(None, 0), first)
    emptied = layouts.Staged((layouts.Change("weight", (0, 0.0)),), 0)
    stored = await load_ring(registry, KEY)
    await layouts.publish_layout(registry, KEY, stored, emptied.builder(stored.ring).rebalance(2))
    await save_records(registry, {n: DeviceRecord(b"i" * 16, True, "disk", name) for n, name in enumerate(NAMES)})
    await registry.transact([], [Put(node_key(name), NODE_CODEC.encode(replace(NODE, machine=name))) for name in NAMES])
    removal = await find_removal(registry, KEY, "d")
    now = await step_ring(registry, KEY, lambda ring: ring.mark_synced(2, min(ring.unsynced(2) - {3})))
    await remove(registry, KEY, removal, dead=True, accept_loss=True)
    ring = (await load_ring(registry, KEY)).ring
    assert ring is not None
    assert set(ring.newest.devices) == {0, 1, 2}
    assert ring.unsynced(2) - {3} == now.unsynced(2) - {3}
    assert (await find_node(registry, "d")).record is None
    assert set(await load_records(registry)) == {0, 1, 2}
