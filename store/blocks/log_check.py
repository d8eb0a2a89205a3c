"""Checking the log of a volume behind its map: objects without a gap, and frames without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from store.blocks.contents import Contents
from store.blocks.head import Head, Root
from store.blocks.log_object import LogObject, parse_row, row_name
from store.blocks.owned_head import load_head
from store.blocks.report import Progress, Reported
from store.blocks.table import Table
from store.core.errors import DrystoneError


class CheckedLog(NamedTuple):
    """It was gone through from this object on, and ends before that one."""

    first: int
    end: int


async def check_log(
    table: Table, head: Head, said: Reported, read: Callable[[int, Contents], Awaitable[None]] | None
) -> CheckedLog:
    """Check what the log has behind the oldest root that the head remembers. `read` is called with what is sealed."""
    start = log_start(head)
    number, last = start.object, _Last(start.sequence)
    while True:
        row = await table.load(row_name(number))
        if row is None:
            # Whoever has the volume may have dropped it, or opened it just now.
            behind = await table.names("l", row_name(number), 1)
            moved = log_start(await load_head(table))
            if moved.object > number:
                number, last = moved.object, _Last(moved.sequence)
                continue
            if not behind:
                break
            if await table.load(row_name(number)) is None:
                found = int(behind[0][1:], 16)
                await said.problem(f"log object {number} is gone, and {found} is there behind it")
                number = found
                last.lose()
            continue
        try:
            object_ = parse_row(number, row)
        except DrystoneError as error:
            await said.problem(f"log object {number} cannot be read: {error}")
            last.lose()
        else:
            await _check_object(object_, last, said)
            if object_.contents is not None and read is not None:
                await read(number, object_.contents)
        await said.progress(Progress("log objects behind the map", number - start.object + 1, 0))
        number += 1
    if not last.ever_unknown and last.sequence < head.root.sequence:
        await said.problem(f"the log ends with frame {last.sequence}, and the map of the head has {head.root.sequence}")
    return CheckedLog(start.object, number)


class _Last:
    """The last frame. The next one follows it; behind the place that we began at it may also be one that is in the map
    already (not `exact`), and behind an object that cannot be read any (`unknown`)."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.exact = False
        self.unknown = False
        self.ever_unknown = False

    def lose(self) -> None:
        """Nobody knows what comes here."""
        self.unknown = self.ever_unknown = True

    def take(self, sequence: int) -> bool:
        """Another frame; whether it is the one that is to come."""
        expected = self.sequence + 1
        follows = self.unknown or sequence == expected or (not self.exact and sequence < expected)
        self.sequence, self.exact, self.unknown = sequence, True, False
        return follows


async def _check_object(object_: LogObject, last: _Last, said: Reported) -> None:
    if object_.contents is None:
        last.lose()
        await said.note(f"log object {object_.number} is open: what is in it is known when it is sealed")
        return
    for frame in object_.contents.frames:
        expected = last.sequence + 1
        if not last.take(frame.sequence):
            await said.problem(f"log object {object_.number} goes on with frame {frame.sequence}, not with {expected}")


def log_start(head: Head) -> Root:
    """The oldest root whose log is needed."""
    return min([head.root, *(past.root for past in head.history)], key=lambda root: (root.object, root.sequence))
