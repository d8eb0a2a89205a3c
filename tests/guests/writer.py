"""A writer within a guest that says what was answered, and who checks that it is there."""

from __future__ import annotations

import re

from tests.guests.machine import Guest
from tests.process.disk import Disk

PAGE = 4096
LINE = "page "


async def begin(guest: Guest, device: str, first: int = 1) -> None:
    """Write pages one after another, each with its number and synced, until `end`. What fails says `failed`."""
    loop = (
        f'rm -f /end; (i={first}; while [ ! -e /end ]; do echo "{LINE}$i" | '
        f'dd of=/dev/{device} bs={PAGE} seek=$i count=1 conv=sync,fsync,notrunc 2>/dev/null && echo "w$i." || '
        "echo failed; i=$((i+1)); done; echo writer ended) &"
    )
    await guest.console.begin(loop)


async def some(guest: Guest, count: int = 5) -> int:
    """Wait until so many more are answered; the last of them."""
    last = 0
    for _ in range(count):
        last = int((await guest.console.wait(r"w(\d+)\."))[1])
    return last


async def end(guest: Guest) -> int:
    """The last page that was answered, of all that were written: none failed, and no number is missing."""
    await guest.console.begin("touch /end")
    await guest.console.wait("writer ended")
    assert "failed" not in guest.console.text, guest.console.text[-3000:]
    numbers = [int(found) for found in re.findall(r"w(\d+)\.", guest.console.text)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    return numbers[-1]


def check(disk: Disk, first: int, last: int) -> None:
    """What was answered is there."""
    for number in range(first, last + 1):
        assert disk.read(number * PAGE, PAGE) == f"{LINE}{number}\n".encode().ljust(PAGE, b"\0"), number
