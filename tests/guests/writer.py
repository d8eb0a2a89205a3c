"""A writer within a guest that says what was answered, and who checks that it is there."""

from __future__ import annotations

import re

from tests.guests.machine import Guest
from tests.process.disk import Disk

PAGE = 4096
LINE = "page "


async def begin(guest: Guest, device: str, first: int = 1) -> None:
    """Write pages one after another, each with its number and synced, until `end`. What fails says `failed`."""
    await guest.console.start(
        f'rm -f /end; echo writer begins; i={first}; while [ ! -e /end ]; do echo "{LINE}$i" | '
        f'dd of=/dev/{device} bs={PAGE} seek=$i count=1 conv=sync,fsync,notrunc 2>/dev/null && echo "w$i." || '
        "echo failed; i=$((i+1)); done; echo writer ended"
    )


async def some(guest: Guest, count: int = 5) -> None:
    """Wait until the guest runs, and so many more are answered."""
    await guest.console.run("true")  # what it says behind this, but for one page, was answered after we asked
    for _ in range(count + 1):
        await guest.console.wait(r"w(\d+)\.")


async def end(guest: Guest) -> int:
    """The last page that was answered, of all that were written: none failed, and no number is missing."""
    await guest.console.begin("touch /end")
    await guest.console.wait("writer ended")
    said = guest.console.text[guest.console.text.rindex("writer begins") :]
    assert "failed" not in said, said[-3000:]
    numbers = [int(found) for found in re.findall(r"w(\d+)\.", said)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    return numbers[-1]


def check(disk: Disk, first: int, last: int) -> None:
    """What was answered is there."""
    for number in range(first, last + 1):
        assert disk.read(number * PAGE, PAGE) == f"{LINE}{number}\n".encode().ljust(PAGE, b"\0"), number
