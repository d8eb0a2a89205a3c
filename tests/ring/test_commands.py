"""`drystone ring`, over a registry in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from click.testing import CliRunner

from drystone import layouts
from drystone.layouts import Stored, load_ring, step_ring
from drystone.ring_commands import RingAccess, ring_group
from store.core.clock import SystemClock
from store.core.errors import ConflictError, DamageError
from store.registry import DeleteRange, Registry, Span, memory_registry
from store.ring import Ring
from tests.ring.rings import KEY


class Shell:
    """Runs `ring` commands on one registry."""

    def __init__(self) -> None:
        self.registry = memory_registry(SystemClock())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Registry]:
        yield self.registry

    def __call__(self, line: str, *, fails: bool = False) -> str:
        result = CliRunner().invoke(ring_group(), line.split(), obj=RingAccess(self.opened, KEY))
        assert (result.exit_code != 0) == fails, result.output
        return result.output

    def ring(self) -> Ring:
        ring = trio.run(load_ring, self.registry, KEY).ring
        assert ring is not None
        return ring

    def keys(self) -> list[bytes]:
        return [item.key for item in trio.run(self.registry.range, Span.prefix(b""))]

    def finish_change(self) -> None:
        for device in sorted(self.ring().unsynced(self.ring().newest.version)):
            version = self.ring().newest.version
            trio.run(step_ring, self.registry, KEY, lambda ring, d=device, v=version: ring.mark_synced(v, d))
        for device in sorted(self.ring().unenforced()):
            trio.run(step_ring, self.registry, KEY, lambda ring, d=device: ring.mark_enforced(d, ring.epoch))


@pytest.fixture
def ring() -> Shell:
    shell = Shell()
    for machine in "abcd":
        shell(f"add --machine {machine} --weight 4 /srv/{machine}")
    shell("apply")
    return shell


def test_a_first_ring() -> None:
    ring = Shell()
    assert "There is no ring yet" in ring("show")
    assert "at least one device" in ring("plan", fails=True)
    assert "add 1 2 alpha 4.0 /srv/0" in ring("add --zone 2 --machine alpha --weight 4 /srv/0")
    assert "Staged, not applied" in ring("show")
    assert "nothing moves" in ring("plan")
    assert "There is no ring yet" in ring("show")
    assert "Layout 1 is published." in ring("apply")
    shown = ring("show")
    assert "1,024 partitions, rows on 1 devices each" in shown
    assert "Fewer than 3 devices have weight, so rows survive the loss of 0" in shown
    assert "Staged" not in shown


def test_a_change_is_planned_applied_and_seen_to_its_end(ring: Shell) -> None:
    ring("add --zone 2 --machine e --weight 4 /srv/e")
    planned = ring("plan")
    assert "From layout 1 to 2: " in planned
    assert len(ring.ring().live) == 1
    applied = ring("apply")
    assert applied.startswith(planned.rstrip())
    shown = ring("show")
    assert "Live layouts: 1, 2; reads ask 1." in shown
    assert "Layout 2 waits for devices to sync: 0, 1, 2, 3, 4" in shown
    ring.finish_change()
    assert [layout.version for layout in ring.ring().live] == [2]
    assert len(ring.keys()) == 2  # the state and one layout: what retired is forgotten


def test_emptying_a_device_and_taking_it_out(ring: Shell) -> None:
    ring("weight 3 0")
    ring("apply")
    ring.finish_change()
    assert "1,024" not in next(line for line in ring("show").splitlines() if "/srv/d" in line)
    ring("remove 3")
    planned = ring("plan")
    assert "0 of 3,072" in planned
    ring("apply")
    ring.finish_change()
    assert sorted(ring.ring().newest.devices) == [0, 1, 2]


def test_a_second_change_waits_for_the_first_unless_told(ring: Shell) -> None:
    ring("weight 0 2")
    ring("apply")
    ring("weight 0 3")
    assert "--during-change" in ring("apply", fails=True)
    ring("apply --during-change")
    assert [layout.version for layout in ring.ring().live] == [1, 2, 3]


def test_losing_quorums_must_be_accepted(ring: Shell) -> None:
    ring("remove 0")
    ring("remove 1")
    assert "WARNING: 512 partitions of table rows lose their quorum" in ring("plan")
    assert "--accept-loss" in ring("apply", fails=True)
    ring("apply --accept-loss")


def test_what_cannot_be_is_refused_when_it_is_staged(ring: Shell) -> None:
    assert "the ring has no device 9" in ring("remove 9", fails=True)
    ring("width 5")
    assert "5 copies need 5 devices" in ring("plan", fails=True)
    assert "1 staged changes forgotten" in ring("unstage")
    ring("width 4")
    ring("overload 0.5")
    ring("apply")
    assert ring.ring().newest.widths == (4,)
    assert ring.ring().newest.overload == 0.5


def test_a_layout_larger_than_a_value(ring: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "PIECE_BYTES", 1000)
    ring("weight 0 2")
    ring("apply")
    assert len(ring.keys()) > 6
    assert ring.ring().newest.devices[0].weight == 2


async def test_of_two_who_change_at_once_one_is_told() -> None:
    shell = Shell()
    registry = shell.registry
    builder = layouts.Staged((layouts.Change("add", (1, 1, "a", 1.0, "disk")),), 0).builder(None)
    first = Ring(KEY, (builder.rebalance(1),))
    await layouts.save_ring(registry, first, 0)
    with pytest.raises(ConflictError):
        await layouts.save_ring(registry, first, 0)


async def test_a_layout_is_published_on_what_nodes_have_done_since() -> None:
    registry = memory_registry(SystemClock())
    staged = layouts.Staged(tuple(layouts.Change("add", (1, 1, name, 4.0, "disk")) for name in "abcd"), 0)
    await layouts.publish_layout(registry, KEY, Stored(None, 0), staged.builder(None).rebalance(1))
    emptied = layouts.Staged((layouts.Change("weight", (0, 0.0)),), 0)
    first = await load_ring(registry, KEY)
    await layouts.publish_layout(registry, KEY, first, emptied.builder(first.ring).rebalance(2))
    before = await load_ring(registry, KEY)
    assert before.ring is not None
    device = min(before.ring.unsynced(2))
    await step_ring(registry, KEY, lambda ring: ring.mark_synced(2, device))
    third = layouts.Staged((), 0).builder(before.ring).rebalance(3)
    await layouts.publish_layout(registry, KEY, before, third)
    ring = (await load_ring(registry, KEY)).ring
    assert ring is not None
    assert ring.newest.version == 3
    assert device not in ring.unsynced(2)
    with pytest.raises(ConflictError):  # another layout has come meanwhile
        await layouts.publish_layout(registry, KEY, before, third)


async def test_what_a_device_says_within_an_epoch_is_news() -> None:
    """Else a node would wait for devices of others that have long been clean, and keep all tombstones until then."""
    registry = memory_registry(SystemClock())
    staged = layouts.Staged(tuple(layouts.Change("add", (1, 1, name, 4.0, "disk")) for name in "abcd"), 0)
    await layouts.publish_layout(registry, KEY, Stored(None, 0), staged.builder(None).rebalance(1))
    first = await load_ring(registry, KEY)
    await layouts.publish_layout(registry, KEY, first, layouts.Staged((), 0).builder(first.ring).rebalance(2))
    before = (await load_ring(registry, KEY)).ring
    assert before is not None
    assert await layouts.load_newer(registry, KEY, before) is None
    await step_ring(registry, KEY, lambda ring: ring.mark_synced(2, 0))
    ring = await layouts.load_newer(registry, KEY, before)
    assert ring is not None
    assert ring.epoch == before.epoch
    assert 0 not in ring.unsynced(2)
    assert await layouts.load_newer(registry, KEY, ring) is None


async def test_what_is_staged_meanwhile_is_not_taken_for_applied() -> None:
    registry = memory_registry(SystemClock())
    one, other = (layouts.Change("add", (1, 1, name, 1.0, "disk")) for name in "ab")
    await layouts.stage(registry, await layouts.load_staged(registry), one)
    staged, stored = await layouts.load_staged(registry), await load_ring(registry, KEY)
    await layouts.stage(registry, staged, other)
    with pytest.raises(ConflictError):
        await layouts.publish_layout(registry, KEY, stored, staged.builder(None).rebalance(1), applied=staged)
    assert (await load_ring(registry, KEY)).ring is None
    assert len((await layouts.load_staged(registry)).changes) == 2


async def test_a_missing_layout_is_damage() -> None:
    registry = memory_registry(SystemClock())
    builder = layouts.Staged((layouts.Change("add", (1, 1, "a", 1.0, "disk")),), 0).builder(None)
    await layouts.save_ring(registry, Ring(KEY, (builder.rebalance(1),)), 0)
    await registry.transact([], [DeleteRange(Span.prefix(layouts.LAYOUT_PREFIX))])
    with pytest.raises(DamageError):
        await load_ring(registry, KEY)
