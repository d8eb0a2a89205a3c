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
from tests.gateway_rest.doubtful_registry import lose_answer, puts
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


async def test_what_is_counted_stays_where_a_start_is_not_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud()
        await nursery.start(cloud.service.run)
        lose_answer(cloud.registry, puts(b"task/"))
        assert (await cloud.ask("POST", "/volumes", {"volume": {"size": 2}})).status == 503
        (volume,) = (await cloud.ask("GET", "/volumes")).json["volumes"]
        await done(cloud, volume["id"])
        lose_answer(cloud.registry, puts(b"task/"))
        answer = await cloud.ask("POST", "/snapshots", {"snapshot": {"volume_id": volume["id"]}})
        assert answer.status == 503
        (snapshot,) = (await cloud.ask("GET", "/snapshots")).json["snapshots"]
        await done(cloud, snapshot["id"], "snapshot")
        lose_answer(cloud.registry, puts(b"task/"))
        assert (await cloud.act(volume["id"], "os-extend", {"new_size": 3})).status == 503
        await done(cloud, volume["id"])
        assert await cloud.used() == {"volumes": 1, "snapshots": 1, "gigabytes": 5}
        nursery.cancel_scope.cancel()


async def done(cloud: Cloud, id_: str, kind: str = "volume") -> str:
    with trio.fail_after(600):
        while (await cloud.show(id_, kind=kind))["status"] != "available":
            await trio.sleep(1)
    return id_
