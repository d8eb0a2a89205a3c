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
Why = Callable[[Task, DrystoneError], Awaitable[None]]

UNKNOWN: Final = "An unknown error occurred."


def telling(work: Part, failed: Failed) -> Work:
    """The work; `failed` has the record say so where it cannot be done. What may be done later is tried again. Whoever
    lost the task to another meets what that one has done since: that is no failure, and theirs to tell."""

    return telling_why(lambda _, task: work(task), lambda task, error: failed(task, said(error)))


def said(error: DrystoneError) -> str:
    """What the project is told. What else was wrong names things of the store, which are no business of theirs."""
    return str(error) if isinstance(error, InvalidError) else UNKNOWN


def telling_why(work: Work, failed: Why) -> Work:
    """The same of work that tells how far it is; `failed` is given the reason."""

    async def do(tasks: Tasks, task: Task) -> None:
        try:
            await work(tasks, task)
        except (RetryableError, LostTaskError):
            raise
        except DrystoneError as error:
            await tasks.require_own(task)
            await failed(task, error)
            raise

    return do
