"""What becomes of a record whose task cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.rest.tasks import LostTaskError, Tasks
from store.core.errors import DrystoneError, RetryableError

Part = Callable[[Task], Awaitable[None]]


def telling(work: Part, failed: Part) -> Work:
    """The work; `failed` has the record say so where it cannot be done. What may be done later is tried again."""

    async def do(_: Tasks, task: Task) -> None:
        try:
            await work(task)
        except (RetryableError, LostTaskError):
            raise
        except DrystoneError:
            await failed(task)
            raise

    return do
