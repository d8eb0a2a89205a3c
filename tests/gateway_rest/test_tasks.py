"""Tasks: who owns them, how far they have come, and what becomes of those of the dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from gateway.rest.task_records import MESSAGE_CHARACTERS_MAX, State, Task
from gateway.rest.task_runner import RETRY_S, TaskRunner
from gateway.rest.tasks import KEPT_S, LEASE_S, LostTaskError, Tasks
from store.core.entropy import SystemRandom
from store.core.errors import BusyError, ConflictError, InvalidError, NotFoundError
from store.registry import Compare, OutcomeUnknownError, Put, Registry, memory_registry
from tests.gateway_rest.doubtful_registry import lose_answer, puts
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry


class TrioClock:
    """The clock of the test's loop."""

    def wall_us(self) -> int:
        return 1_700_000_000_000_000 + int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


@pytest.fixture
async def registry() -> Registry:
    return memory_registry(TrioClock())


def tasks(registry: Registry) -> Tasks:
    return Tasks(registry, "image", TrioClock(), SystemRandom())


async def entered(registry: Registry) -> Tasks:
    book = tasks(registry)
    await book.enter()
    return book


# -- records ---------------------------------------------------------------------------------------------------------


async def test_a_task_from_its_start_to_its_end(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    task = await book.start(
        "import", {"url": "x", "parts": [1]}, [Put(b"image", b"queued")], [Compare.absent(b"image")]
    )
    assert (task.state, task.percent, task.step, task.arguments) == (State.RUNNING, 0, "", {"url": "x", "parts": [1]})
    await trio.sleep(1)
    task = await book.progress(task, step="copy", percent=40, message="m" * 2000, operations=[Put(b"image", b"saving")])
    assert await tasks(registry).get(task.id) == task
    assert (task.percent, len(task.message)) == (40, MESSAGE_CHARACTERS_MAX)
    assert task.changed_us - task.begun_us == 1_000_000
    task = await book.progress(task, percent=101)
    assert (task.step, task.percent) == ("copy", 100)
    assert await book.goes_on(task.id)
    done = await book.finish(task, "all of it", [Put(b"image", b"active")])
    assert (done.state, done.percent, done.message) == (State.FINISHED, 100, "all of it")
    item = await registry.get(b"image")
    assert item is not None
    assert item.value == b"active"
    assert not await book.goes_on(task.id)
    for late in (task, done):
        with pytest.raises(LostTaskError):
            await book.fail(late, "too late")


async def test_a_failed_task_says_why_and_how_far_it_came(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    task = await book.progress(await book.start("import", {}), percent=30)
    failed = await book.fail(task, "no room")
    assert (failed.state, failed.percent, failed.message) == (State.FAILED, 30, "no room")
    assert await book.every() == [failed]
    with pytest.raises(NotFoundError):
        await book.get("another")


async def test_a_start_whose_condition_does_not_hold(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    with pytest.raises(ConflictError):
        await book.start("import", {}, [Put(b"image", b"")], [Compare.exists(b"image")])
    assert (await book.every(), await registry.get(b"image")) == ([], None)


async def test_a_task_has_the_id_that_was_drawn_for_it(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    id_ = book.new_id()
    task = await book.start("import", {}, id_=id_)
    assert task.id == id_ != book.new_id()
    with pytest.raises(ConflictError):
        await book.start("another", {}, id_=id_)
    assert await book.get(id_) == task


async def test_services_do_not_see_each_others_tasks(registry: Registry, autojump_clock: MockClock) -> None:
    await (await entered(registry)).start("import", {})
    await trio.sleep(LEASE_S)
    other = Tasks(registry, "volume", TrioClock(), SystemRandom())
    await other.enter()
    assert (await other.every(), await other.abandoned()) == ([], [])


# -- owners ----------------------------------------------------------------------------------------------------------


async def test_only_tasks_of_the_dead_are_taken_over_and_by_one(registry: Registry, autojump_clock: MockClock) -> None:
    first, second, third = [await entered(registry) for _ in range(3)]
    task = await first.start("import", {})
    ended = await first.finish(await first.start("import", {}))
    assert await second.abandoned() == []
    with pytest.raises(LostTaskError):
        await second.take_over(task)
    await trio.sleep(LEASE_S - 1)
    for living in (second, third):
        await living.keep_alive()
    await trio.sleep(1)
    assert await second.abandoned() == await third.abandoned() == [task]
    taken = await second.take_over(task)
    with pytest.raises(LostTaskError):
        await third.take_over(task)
    with pytest.raises(LostTaskError):
        await first.progress(task, percent=1)
    await second.finish(taken)
    assert ended in await second.every()


async def test_an_owner_that_was_taken_for_dead_changes_nothing(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    task = await book.start("import", {})
    await trio.sleep(LEASE_S)
    for write in (book.progress(task, percent=1), book.finish(task), book.start("import", {})):
        with pytest.raises(LostTaskError):
            await write
    with pytest.raises(NotFoundError):
        await book.keep_alive()
    await book.enter()
    with pytest.raises(LostTaskError):  # not its own until it takes it over
        await book.progress(task, percent=1)
    assert await book.abandoned() == [task]
    await book.finish(await book.take_over(task))


async def test_who_leaves_leaves_its_tasks_at_once(registry: Registry, autojump_clock: MockClock) -> None:
    book, other = await entered(registry), await entered(registry)
    task = await book.start("import", {})
    await book.leave()
    assert await other.abandoned() == [task]


async def test_ended_tasks_are_kept_for_a_while(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    running, early = await book.start("import", {}), await book.finish(await book.start("import", {}))
    await trio.sleep(KEPT_S - 1)
    await book.forget_ended()
    assert early in await book.every()
    await trio.sleep(1)
    await book.forget_ended()
    assert await book.every() == [running]


# -- the runner ------------------------------------------------------------------------------------------------------

Steps = Callable[[Tasks, Task], Awaitable[None]]


def copying(log: list[str], name: str) -> Steps:
    """Three steps, of which each is told of before it is done."""

    async def work(book: Tasks, task: Task) -> None:
        steps = ["make", "copy", "show"]
        for at, step in enumerate(steps):
            if task.step and at < steps.index(task.step):
                continue
            task = await book.progress(task, step=step, percent=at * 33)
            log.append(f"{name} {step}")
            await trio.sleep(1)

    return work


async def test_a_runner_does_what_is_started(registry: Registry, autojump_clock: MockClock) -> None:
    log: list[str] = []
    book = tasks(registry)
    runner = TaskRunner(book, {"copy": copying(log, "a")})
    with pytest.raises(BusyError):
        await runner.start("copy", {})
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.run)
        with pytest.raises(ValueError, match="kind"):
            await runner.start("other", {})
        task = await runner.start("copy", {})
        await trio.sleep(10 * LEASE_S)
        assert (await book.get(task.id)).state is State.FINISHED
        nursery.cancel_scope.cancel()
    assert log == ["a make", "a copy", "a show"]


async def test_a_runner_that_is_stopped_leaves_its_work_to_others_at_once(
    registry: Registry, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    runner = TaskRunner(tasks(registry), {"copy": copying(log, "a")})
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.run)
        await runner.start("copy", {})
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        await nursery.start(TaskRunner(tasks(registry), {"copy": copying(log, "b")}).run)
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert log == ["a make", "a copy", "b copy", "b show"]


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("writes", range(6))
async def test_a_death_between_any_two_steps(
    registry: Registry, autojump_clock: MockClock, writes: int, answered: bool
) -> None:
    """Its writes: it enters, starts, tells of three steps, finishes. Two want what it leaves; one gets it."""
    log: list[str] = []
    mortal = MortalRegistry(registry, writes, answered=answered)
    dying = TaskRunner(tasks(mortal), {"copy": copying(log, "dead")})

    async def live_and_die() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(dying.run)
            await dying.start("copy", {})
            await trio.sleep(LEASE_S)
            mortal.die()

    with pytest.raises(BaseExceptionGroup) as raised:
        await live_and_die()
    assert raised.value.subgroup(DeadError) is not None
    before = list(log)
    left = [task for task in await tasks(registry).every() if task.state is State.RUNNING]
    async with trio.open_nursery() as nursery:
        for name in ("b", "c"):
            other = tasks(MortalRegistry(registry))
            nursery.start_soon(TaskRunner(other, {"copy": copying(log, name)}).run)
        await trio.sleep(2 * LEASE_S)
        nursery.cancel_scope.cancel()
    every = await tasks(registry).every()
    assert len(every) == (1 if writes > 1 or (writes == 1 and not answered) else 0)
    assert all(task.state is State.FINISHED for task in every)
    after = log[len(before) :]
    assert len({line.split()[0] for line in after}) == len(left)
    if left:
        begun = ["make", "copy", "show"].index(left[0].step or "make")
        assert [line.split()[1] for line in after] == ["make", "copy", "show"][begun:]


async def test_a_runner_that_was_taken_for_dead_stops_and_begins_again(
    registry: Registry, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    book = tasks(registry)

    async def work(book: Tasks, task: Task) -> None:
        log.append(f"begins at {task.step!r}")
        task = await book.progress(task, step="long")
        try:
            await trio.sleep(100)
            log.append("done")
        finally:
            log.append("ends")

    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"long": work})
        await nursery.start(runner.run)
        task = await runner.start("long", {})
        await trio.sleep(1)
        await book.leave()  # as if it had slept through the end of its lease
        await trio.sleep(200)
        assert (await book.get(task.id)).state is State.FINISHED
        nursery.cancel_scope.cancel()
    assert log == ["begins at ''", "ends", "begins at 'long'", "done", "ends"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(InvalidError("no such format"), "no such format"), (ZeroDivisionError("inner"), "An unexpected error ended it.")],
)
async def test_work_that_fails_fails_its_task(
    registry: Registry, autojump_clock: MockClock, error: Exception, message: str
) -> None:
    async def work(_: Tasks, __: Task) -> None:
        raise error

    book = tasks(registry)
    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"bad": work})
        await nursery.start(runner.run)
        task = await book.get((await runner.start("bad", {})).id)
        await trio.sleep(1)
        ended = await book.get(task.id)
        nursery.cancel_scope.cancel()
    assert (ended.state, ended.message) == (State.FAILED, message)


async def test_work_that_cannot_now_is_tried_again_from_where_it_stood(
    registry: Registry, autojump_clock: MockClock
) -> None:
    seen: list[tuple[str, float]] = []

    async def work(book: Tasks, task: Task) -> None:
        seen.append((task.step, trio.current_time()))
        if not task.step:
            await book.progress(task, step="second")
            raise BusyError("later")

    book = tasks(registry)
    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"busy": work})
        await nursery.start(runner.run)
        task = await runner.start("busy", {})
        await trio.sleep(2 * RETRY_S)
        assert (await book.get(task.id)).state is State.FINISHED
        nursery.cancel_scope.cancel()
    (first, began), (second, again) = seen
    assert (first, second, again - began) == ("", "second", RETRY_S)


async def test_work_may_end_its_task_itself(registry: Registry, autojump_clock: MockClock) -> None:
    async def undo(book: Tasks, task: Task) -> None:
        await book.fail(task, "undone")

    async def show(book: Tasks, task: Task) -> None:
        await book.finish(task, "shown", [Put(b"image", b"active")])

    book = tasks(registry)
    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"undo": undo, "show": show})
        await nursery.start(runner.run)
        begun = [await runner.start(kind, {}) for kind in ("undo", "show")]
        await trio.sleep(1)
        ended = [await book.get(task.id) for task in begun]
        nursery.cancel_scope.cancel()
    assert [(task.state, task.message) for task in ended] == [(State.FAILED, "undone"), (State.FINISHED, "shown")]


async def test_a_runner_forgets_what_ended_long_ago(registry: Registry, autojump_clock: MockClock) -> None:
    book = await entered(registry)
    await book.finish(await book.start("import", {}))
    await trio.sleep(KEPT_S)
    async with trio.open_nursery() as nursery:
        await nursery.start(TaskRunner(tasks(registry), {}).run)
        nursery.cancel_scope.cancel()
    assert await tasks(registry).every() == []


async def test_kinds_that_are_not_known_here_are_left_alone(registry: Registry, autojump_clock: MockClock) -> None:
    other = await entered(registry)
    task = await other.start("newer", {})
    await other.leave()
    async with trio.open_nursery() as nursery:
        await nursery.start(TaskRunner(tasks(registry), {}).run)
        await trio.sleep(LEASE_S)
        nursery.cancel_scope.cancel()
    assert await tasks(registry).get(task.id) == task


async def test_a_runner_that_has_yet_to_notice_its_end_begins_nothing(
    registry: Registry, autojump_clock: MockClock
) -> None:
    """Whoever asked is told to try again."""
    book = tasks(registry)

    async def work(_: Tasks, __: Task) -> None:
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"short": work})
        await nursery.start(runner.run)
        await book.leave()  # as if it had slept through the end of its lease
        with pytest.raises(BusyError):
            await runner.start("short", {})
        assert await book.every() == []
        nursery.cancel_scope.cancel()


async def test_a_task_whose_start_was_not_answered_is_done(registry: Registry, autojump_clock: MockClock) -> None:
    """Its owner lives: nobody else would take it over."""
    log: list[str] = []
    book = tasks(registry)
    runner = TaskRunner(book, {"copy": copying(log, "a")})
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.run)
        lose_answer(registry, puts(b"task/"))
        with pytest.raises(OutcomeUnknownError):
            await runner.start("copy", {})
        await trio.sleep(10 * LEASE_S)
        assert [task.state for task in await book.every()] == [State.FINISHED]
        nursery.cancel_scope.cancel()
    assert log == ["a make", "a copy", "a show"]


async def test_a_task_that_is_done_is_not_begun_twice(registry: Registry, autojump_clock: MockClock) -> None:
    begun: list[str] = []
    book = tasks(registry)

    async def work(_: Tasks, task: Task) -> None:
        begun.append(task.id)
        await trio.sleep(10 * LEASE_S)

    async with trio.open_nursery() as nursery:
        runner = TaskRunner(book, {"long": work})
        await nursery.start(runner.run)
        task = await runner.start("long", {})
        await trio.sleep(20 * LEASE_S)
        nursery.cancel_scope.cancel()
    assert begun == [task.id]
