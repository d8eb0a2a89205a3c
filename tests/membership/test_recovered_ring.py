"""The ring of a registry that was recovered is never older than what devices know."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from trio.testing import MockClock

from drystone.cluster import save_cluster
from drystone.device_copies import RingCopy
from drystone.device_folder import make_in
from drystone.device_records import DeviceRecord, load_records, save_records
from drystone.folder import DataFolder
from drystone.layouts import Change, load_ring, load_staged, save_ring, stage
from drystone.membership import Membership
from drystone.recovered_ring import EPOCHS, bring_up
from store.core.entropy import SystemRandom
from store.core.errors import DamageError
from store.registry import Registry, memory_registry
from store.ring import Builder, Ring
from tests.membership.first_node import CLUSTER
from tests.simulation.world import SimClock

OLD = DeviceRecord(b"i" * 16, in_sync=True, label="devices/0", node="n1")
NEW = replace(OLD, incarnation=b"j" * 16)


def rings() -> tuple[Ring, Ring]:
    """One, and the next."""
    builder = Builder()
    builder.add(1, 1, "m1", 1.0, "devices/0")
    one = Ring(CLUSTER.key, (builder.rebalance(1),))
    more = Builder(one.newest)
    more.add(1, 1, "m2", 1.0, "elsewhere")
    return one, one.publish(more.rebalance(2))


def made(tmp_path: Path, ring: Ring, record: DeviceRecord) -> DataFolder:
    """A folder with a device that knows a ring."""
    folder = DataFolder(str(tmp_path))
    save_cluster(folder, CLUSTER)
    os.makedirs(folder.device("devices/0"))
    make_in(folder.device("devices/0"), 0, CLUSTER, RingCopy(1, ring, {0: record}), SystemRandom(), in_sync=True)
    return folder


async def registry_with(ring: Ring | None, record: DeviceRecord = OLD) -> Registry:
    registry = memory_registry(SimClock())
    if ring is not None:
        await save_ring(registry, ring, 0)
    await save_records(registry, {0: record})
    await stage(registry, await load_staged(registry), Change("weight", (0, 2.0)))
    return registry


async def ring_of(registry: Registry) -> Ring:
    ring = (await load_ring(registry, CLUSTER.key)).ring
    assert ring is not None
    return ring


async def test_a_newer_ring_of_devices_is_taken_with_what_is_known_of_them(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    older, newer = rings()
    folder = made(tmp_path, newer, NEW)
    for before in older, None:
        registry = await registry_with(before)
        await bring_up(folder, CLUSTER, registry, "n1", [])
        ring = await ring_of(registry)
        assert ring.live == newer.live
        assert ring.epoch == newer.epoch + EPOCHS
        assert (await load_records(registry))[0] == NEW
        assert (await load_staged(registry)).changes == ()


async def test_a_newer_ring_of_the_registry_stays(tmp_path: Path, autojump_clock: MockClock) -> None:
    older, newer = rings()
    registry = await registry_with(newer)
    said = await bring_up(made(tmp_path, older, NEW), CLUSTER, registry, "n1", [])
    assert "no device was found here that knows a newer one" in said[-1]
    ring = await ring_of(registry)
    assert ring.live == newer.live
    assert ring.epoch == newer.epoch + EPOCHS
    assert (await load_records(registry))[0] == OLD
    assert len((await load_staged(registry)).changes) == 1


async def test_a_device_that_the_registry_does_not_believe_is_not_believed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ring, _ = rings()
    registry = await registry_with(ring, replace(OLD, in_sync=False))
    await bring_up(made(tmp_path, ring, OLD), CLUSTER, registry, "n1", [])
    assert not (await load_records(registry))[0].in_sync


async def test_without_any_ring_nothing_is_made(tmp_path: Path, autojump_clock: MockClock) -> None:
    with pytest.raises(DamageError, match="has a ring"):
        await bring_up(DataFolder(str(tmp_path)), CLUSTER, await registry_with(None), "n1", [])


async def test_a_device_that_knows_a_newer_ring_than_the_registry_is_not_used(tmp_path: Path) -> None:
    older, newer = rings()
    folder = made(tmp_path, newer, OLD)
    membership = Membership(folder, CLUSTER, await registry_with(older), older, SystemRandom(), "n1")
    await membership.load()
    with ExitStack() as stack, pytest.raises(DamageError, match="put back to an older state"):
        await membership.open(0, stack)
