"""Starting programs: exact arguments, never a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from compute_plugin.networks.agent.netlink.namespaces import path

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a program."""

    pid: int
    status: int
    output: str
    errors: str


async def run(command: Sequence[str], text: str = "", *, began: Callable[[int], None] | None = None) -> Ended:
    """To its end; killed where that takes too long. `began` is told its number. Raises OSError where it cannot be
    started."""
    done: list[subprocess.CompletedProcess[bytes]] = []

    async def to_the_end(*, task_status: trio.TaskStatus[trio.Process]) -> None:
        start = partial(trio.run_process, stdin=text.encode(), capture_stdout=True, capture_stderr=True, check=False)
        done.append(await start(list(command), task_status=task_status))

    pid = 0
    with trio.move_on_after(PATIENCE_S):
        try:
            async with trio.open_nursery() as nursery:
                process: trio.Process = await nursery.start(to_the_end)
                pid = process.pid
                if began is not None:
                    began(pid)
        except ExceptionGroup as group:
            raise _alone(group) from None
    if not done:
        return Ended(pid, -1, "", f"{command[0]} did not end within {PATIENCE_S:.0f} seconds")
    ended = done[0]
    return Ended(pid, ended.returncode, _text(ended.stdout), _text(ended.stderr))


def _alone(error: Exception) -> Exception:
    """The one that a nursery has put into a group."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def inside(space: str, command: Sequence[str]) -> list[str]:
    """The same command in a namespace; as it is for the host, ""."""
    return ["nsenter", f"--net={path(space)}", "--", *command] if space else list(command)


def _text(data: bytes) -> str:
    return data.decode(errors="replace").strip()
