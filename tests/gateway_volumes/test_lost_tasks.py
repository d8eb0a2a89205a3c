"""A process that was taken for dead in the middle of a task goes on for a while: it undoes nothing that another has
done since."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from gateway.rest.task_records import Task
from gateway.rest.tasks import LostTaskError, Tasks
from gateway.volumes.work.telling import telling
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, FencedError
from store.registry import Registry, memory_registry
from tests.gateway_volumes.cloud import Cloud
from tests.twins.clock import ManualClock


def tasks_of(registry: Registry, clock: ManualClock) -> Tasks:
    return Tasks(registry, "volume", clock, SystemRandom())


@pytest.mark.parametrize("error", [FencedError("a newer writer"), ConflictError("it is there")])
async def test_what_the_other_did_is_no_failure(error: Exception) -> None:
    clock = ManualClock(tick_us=1)
    registry = memory_registry(clock)
    slow, fast = tasks_of(registry, clock), tasks_of(registry, clock)
    await slow.enter()
    await fast.enter()
    task = await slow.start("create", {})
    failed: list[str] = []

    async def work(_: Task) -> None:
        raise error

    async def fail(_: Task, why: str) -> None:
        failed.append(why)

    do = telling(work, fail)
    with pytest.raises(type(error)):
        await do(slow, task)
    assert len(failed) == 1  # it is its own still
    await slow.leave()
    with pytest.raises(LostTaskError):
        await do(slow, task)  # nobody has taken it over, and anybody may
    taken = await fast.take_over(task)
    with pytest.raises(LostTaskError):
        await do(slow, task)
    assert len(failed) == 1
    await fast.finish(taken)
    with pytest.raises(LostTaskError):
        await do(fast, taken)
    assert len(failed) == 1


async def test_a_volume_is_not_taken_back_twice(cloud: Cloud) -> None:
    """The other has done it by then, and something was written since."""
    volume = await cloud.create()
    await cloud.write(volume["id"], b"before")
    snapshot = await cloud.snapshot(volume["id"])
    await cloud.write(volume["id"], b"behind")
    clone, fast = cloud.store.clone, tasks_of(cloud.registry, cloud.clock)
    lost = trio.Event()

    async def slow(*args: object) -> None:
        await clone(*args)  # type: ignore[arg-type]
        await cloud.service.tasks.leave()
        await fast.enter()
        for task in await fast.abandoned():
            await fast.take_over(task)
        lost.set()

    cloud.store.clone = slow  # type: ignore[method-assign,assignment]
    assert (await cloud.act(volume["id"], "revert", {"snapshot_id": snapshot["id"]})).status == 202
    await lost.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert await cloud.read(f"volume-{volume['id']}", 6) == b"behind"
