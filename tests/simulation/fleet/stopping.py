"""Processes that are stopped (SIGSTOP): none of their tasks has a turn until they go on, while time passes for all.

A task belongs to the process that `LIFE` says in its context, which is that of the task that started it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import trio

LIFE: ContextVar[object | None] = ContextVar("life", default=None)


class RunQueue(deque[trio.lowlevel.Task]):
    """Trio's queue of tasks that can go on, without those of stopped processes. Made in a run, it is that run's."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[object, list[trio.lowlevel.Task]] = {}
        runner: Any = trio._core._run.GLOBAL_RUN_CONTEXT.runner
        self.extend(runner.runq)
        runner.runq = self

    def append(self, task: trio.lowlevel.Task) -> None:
        held = self._held.get(task.context.get(LIFE)) if self._held else None
        if held is None:
            super().append(task)
        else:
            held.append(task)

    def stop(self, life: object) -> None:
        """It does nothing from now on, but what is in the midst of its turn."""
        waiting = list(self)
        self.clear()
        self._held[life] = []
        for task in waiting:
            self.append(task)

    def go_on(self, lives: Iterable[object]) -> None:
        """These have their turns again; those that were not stopped, as before."""
        for life in lives:
            self.extend(self._held.pop(life, []))
