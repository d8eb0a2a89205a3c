"""What clients asked and were answered: one JSON object a line, which `judge` and other checkers read.

- `process`: who asked; it does one thing at a time
- `key`: the object, `container/name`; of a listing the container
- `op`: `put`, `get`, `delete`, `cas` (a conditional put), `list`
- `input`: `value` that is written, no value twice on one key; of `cas` also `expect`, null: that there is nothing
- `output`: `value` that was read, null: nothing; of `delete` whether it `existed`; of `cas` whether it was `swapped`;
  of `list` the `names`
- `start_ns`, `end_ns`: before it was sent, after the answer, by one monotonic clock for all; `end_ns` is null where no
  answer came
- `outcome`: `ok`; `fail`: it had no effect and never will; `unknown`: it may have one at any time after its start

While it is recorded each operation has two lines, one before it is sent and one when its outcome is known, so that
whoever is killed between them leaves an operation of unknown outcome and not none.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

Op = Literal["put", "get", "delete", "cas", "list"]
Outcome = Literal["ok", "fail", "unknown"]


@dataclass
class Operation:
    process: str
    key: str
    op: Op
    input: Mapping[str, Any]
    start_ns: int
    output: Mapping[str, Any] = field(default_factory=dict)
    end_ns: int | None = None
    outcome: Outcome = "unknown"


class Recorder:
    """Appends to a file. Several threads may use one; several processes have a file each."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._numbers = count(1)

    @contextmanager
    def operation(self, process: str, key: str, op: Op, **asked: Any) -> Iterator[Operation]:
        """Yields the operation, for `output` and `outcome` to be set; with what they are at the end it is recorded.

        An error leaves the outcome unknown, and goes on.
        """
        number = next(self._numbers)
        operation = Operation(process, key, op, asked, time.monotonic_ns())
        self._write([number, process, key, op, asked, operation.start_ns])
        try:
            yield operation
        except BaseException:
            operation.outcome = "unknown"
            raise
        finally:
            operation.end_ns = None if operation.outcome == "unknown" else time.monotonic_ns()
            self._write([number, operation.output, operation.end_ns, operation.outcome])

    def _write(self, line: list[Any]) -> None:
        """In one call, so that lines of threads do not mix."""
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def recorded(path: Path) -> list[Operation]:
    """What was recorded in a file, in the order of the beginnings.

    A last line that was cut off does not count: an operation whose beginning it is was never sent. Any other line that
    is not whole is damage, and ValueError.
    """
    operations: dict[int, Operation] = {}
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for line in whole.splitlines():
        fields = json.loads(line)
        if len(fields) == 6:
            number, process, key, op, asked, start_ns = fields
            operations[number] = Operation(process, key, op, asked, start_ns)
        else:
            number, output, end_ns, outcome = fields
            operation = operations[number]
            operation.output, operation.end_ns, operation.outcome = output, end_ns, outcome
    return list(operations.values())


def write(path: Path, operations: Iterable[Operation]) -> None:
    """One line for each operation."""
    with path.open("w") as file:
        for operation in sorted(operations, key=lambda operation: operation.start_ns):
            file.write(json.dumps(asdict(operation)) + "\n")


def read(path: Path) -> list[Operation]:
    """What `write` wrote."""
    with path.open() as file:
        return [Operation(**json.loads(line)) for line in file]
