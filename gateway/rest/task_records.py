"""A task as the registry keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from store.core.codec import Codec

MESSAGE_CHARACTERS_MAX: Final = 1024


class State(StrEnum):
    """Of a task. From RUNNING it goes to one of the others, and stays there."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """Long work that goes on when the process that does it dies: another reads here how far it had come."""

    id: str
    kind: str
    arguments: dict[str, Any]
    """What the work was asked for, as in JSON."""
    owner: str
    """The process that does it."""
    begun_us: int
    changed_us: int
    step: str = ""
    """Where the work stands, in the words of its kind; "" at the beginning."""
    percent: int = 0
    message: str = ""
    """For people: what goes on, or why it failed."""
    state: State = State.RUNNING


def _fields(task: Task) -> Sequence[Any]:
    arguments = json.dumps(task.arguments)
    times = [task.begun_us, task.changed_us]
    return [task.id, task.kind, arguments, task.owner, *times, task.step, task.percent, task.message, str(task.state)]


TASK_CODEC: Final[Codec[Task]] = Codec(
    "task",
    1,
    _fields,
    {1: lambda f: Task(f[0], f[1], json.loads(f[2]), f[3], f[4], f[5], f[6], f[7], f[8], State(f[9]))},
)
