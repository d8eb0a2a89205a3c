"""`TaskRunner`: does the tasks of one service in this process, and those that dead processes left unfinished."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
import trio

from gateway.rest.task_records import State, Task
from gateway.rest.tasks import LEASE_S, LostTaskError, Tasks
from store.core.errors import BusyError, CallerError, NotFoundError, RetryableError
from store.registry import Compare, Delete, Put

LOOK_S: Final = LEASE_S / 3
"""How often an owner says that it lives, and looks for what others left behind."""
RETRY_S: Final = 5

Work = Callable[[Tasks, Task], Awaitable[None]]
"""Does a task from its `step` on, or undoes what there is of it and fails it; tells of each step by `progress`. A task
that it leaves unfinished is finished when it returns. A step may be done twice: the last one that was told of was
begun, and maybe done, before a death. A CallerError fails the task with its words; a RetryableError has it tried again
from the step that was told last."""

_log = structlog.get_logger(__name__)


class TaskRunner:
    """`start` tasks while `run` runs."""

    def __init__(self, tasks: Tasks, kinds: Mapping[str, Work]) -> None:
        self._tasks = tasks
        self._kinds = kinds
        self._nursery: trio.Nursery | None = None
        self._begun: set[str] = set()
        """Ids of tasks that are done here, or are about to be."""

    async def start(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
        id_: str | None = None,
    ) -> Task:
        """Begin a task, see Tasks.start; it is recorded when this returns. Raises BusyError where `run` does not run
        at the moment, or this process has yet to notice that it was taken for dead."""
        nursery = self._nursery
        if nursery is None:
            raise BusyError("Tasks are not begun now; try again.")
        if kind not in self._kinds:
            raise ValueError(f"nothing is known of tasks of the kind {kind}")
        id_ = id_ or self._tasks.new_id()
        self._begun.add(id_)
        try:
            task = await self._tasks.start(kind, arguments, operations, compares, id_)
        except LostTaskError as error:
            self._begun.discard(id_)
            raise BusyError("Tasks are not begun now; try again.") from error
        except BaseException:
            self._begun.discard(id_)  # where it was recorded all the same, and the answer was lost, it is found
            raise
        if self._nursery is nursery:
            nursery.start_soon(self._do, task)
        else:  # the process stops, or was taken for dead: others take the task over
            self._begun.discard(id_)
        return task

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started when this process is an owner and has begun what it found. When it is cancelled,
        what is unfinished is for others at once. Raises RetryableError where the registry is away at the beginning."""
        await self._tasks.enter()
        try:
            await self._live(task_status.started)
            while True:
                await self._enter_again()
                await self._live(lambda: None)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(LEASE_S):
                await self._tasks.leave()

    async def _live(self, began: Callable[[], None]) -> None:
        """As one owner. Returns when that was taken for dead, with nothing of its work going on."""
        self._begun.clear()
        async with trio.open_nursery() as nursery:
            await self._look(nursery)
            self._nursery = nursery
            began()
            try:
                while True:
                    await trio.sleep(LOOK_S)
                    try:
                        await self._tasks.keep_alive()
                        await self._look(nursery)
                    except RetryableError as error:
                        _log.warning("tasks cannot be looked for now", error=str(error))
            except NotFoundError:
                _log.warning("this process was taken for dead: what it did is begun again where it stood")
                nursery.cancel_scope.cancel()
            finally:
                self._nursery = None

    async def _enter_again(self) -> None:
        while True:
            try:
                await self._tasks.enter()
            except (RetryableError, NotFoundError) as error:
                _log.warning("tasks cannot be looked for now", error=str(error))
                await trio.sleep(RETRY_S)
            else:
                return

    async def _look(self, nursery: trio.Nursery) -> None:
        for task in await self._tasks.abandoned():
            if task.kind not in self._kinds:
                continue  # a newer program's
            try:
                taken = await self._tasks.take_over(task)
            except LostTaskError:
                continue  # another was faster
            _log.info("a task is taken over", task=task.id, kind=task.kind, step=task.step)
            self._begun.add(task.id)
            nursery.start_soon(self._do, taken)
        for task in await self._tasks.own():
            if task.kind in self._kinds and task.id not in self._begun:
                _log.info("a task is begun whose start was not answered", task=task.id, kind=task.kind)
                self._begun.add(task.id)
                nursery.start_soon(self._do, task)
        await self._tasks.forget_ended()

    async def _do(self, begun: Task) -> None:
        try:
            await self._done(begun)
        finally:
            self._begun.discard(begun.id)

    async def _done(self, begun: Task) -> None:
        """To its end, one way or the other."""
        failure: str | None = None
        while True:
            try:
                task = await self._own(begun)
                if task is not None and failure is None:
                    await self._kinds[task.kind](self._tasks, task)
                    task = await self._own(begun)
                if task is None:
                    return
                if failure is None:
                    await self._tasks.finish(task)
                else:
                    await self._tasks.fail(task, failure)
            except LostTaskError:
                _log.warning("a task is another's by now", task=begun.id, kind=begun.kind)
                return
            except RetryableError as error:
                _log.warning("a task is tried again", task=begun.id, kind=begun.kind, error=str(error))
                await trio.sleep(RETRY_S)
            except CallerError as error:
                failure = str(error)
            except Exception:
                _log.exception("a task failed", task=begun.id, kind=begun.kind)
                failure = "An unexpected error ended it."
            else:
                return

    async def _own(self, begun: Task) -> Task | None:
        """The task as it stands; None where it has ended or is another's."""
        try:
            task = await self._tasks.get(begun.id)
        except NotFoundError:
            return None
        return task if task.state is State.RUNNING and task.owner == begun.owner else None
