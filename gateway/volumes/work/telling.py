"""What becomes of a record whose task cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.rest.tasks import LostTaskError, Tasks
from store.core.errors import DrystoneError, RetryableError

Part = Callable[[Task], Awaitable[None]]
Why = Callable[[Task, DrystoneError], Awaitable[None]]


def telling(work: Part, failed: Part) -> Work:
    """The work; `failed` has the record say so where it cannot be done. What may be done later is tried again."""
    return telling_why(lambda _, task: work(task), lambda task, _: failed(task))


def telling_why(work: Work, failed: Why) -> Work:
    """The same of work that tells how far it is; `failed` is given the reason."""

    async def do(tasks: Tasks, task: Task) -> None:
        try:
            await work(tasks, task)
        except (RetryableError, LostTaskError):
            raise
        except DrystoneError as error:
            await failed(task, error)
            raise

    return do
