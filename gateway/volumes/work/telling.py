"""What becomes of a record whose task cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.rest.tasks import LostTaskError, Tasks
from store.core.errors import DrystoneError, InvalidError, RetryableError

Part = Callable[[Task], Awaitable[None]]
Failed = Callable[[Task, str], Awaitable[None]]
"""With the reason, in words for whoever asked for it."""

UNKNOWN: Final = "An unknown error occurred."


def telling(work: Part, failed: Failed) -> Work:
    """The work; `failed` has the record say so where it cannot be done. What may be done later is tried again. Whoever
    lost the task to another meets what that one has done since: that is no failure, and theirs to tell."""

    async def do(tasks: Tasks, task: Task) -> None:
        try:
            await work(task)
        except (RetryableError, LostTaskError):
            raise
        except DrystoneError as error:
            await tasks.require_own(task)
            # What else was wrong names things of the store, which are no business of the project.
            await failed(task, str(error) if isinstance(error, InvalidError) else UNKNOWN)
            raise

    return do
