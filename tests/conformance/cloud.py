"""A fresh Drystone for a suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.process.program import Program, running

OPTIONS = ("--devices", "4", "--replicas", "3")


@contextmanager
def fresh(folder: Path, *options: str, servers: bool = False) -> Iterator[Program]:
    """A running Drystone in an empty folder; `options` are those of `drystone up`."""
    with running(folder, *OPTIONS, *options, servers=servers) as program:
        yield program


def command(program: Program, *arguments: str) -> None:
    """Run a command on its folder; RuntimeError with what it said if it fails."""
    done = program.command(*arguments)
    if done.returncode:
        raise RuntimeError(f"drystone {' '.join(arguments)}: {done.stderr or done.stdout}")
