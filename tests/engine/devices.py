"""Devices on simulated disks, for tests of single parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import trio

from store.core.errors import DrystoneError
from store.core.stamp import Stamp
from store.device.port import Applied
from store.device.row import Row, RowKey
from store.engine.device import Device
from store.engine.opening import open_device
from store.engine.options import Options
from store.objects.rows import prepare
from tests.simulation.crash_point import CrashPoint
from tests.simulation.disk import SimDisk, SimMedium
from tests.simulation.worker import Turns
from tests.simulation.world import run
from tests.twins.index import IndexMedium, SimIndex

T = TypeVar("T")
CLUSTER = b"c" * 16
TABLE = b"t" * 16


def disk_of(medium: SimMedium, crash_point: CrashPoint | None = None) -> SimDisk:
    return SimDisk(medium, crash_point or CrashPoint(), Turns(Random(1)))


def row(name: bytes, time_us: int, payload: bytes = b"", flags: int = 0) -> Row:
    return Row(RowKey(1, TABLE, 0, name), Stamp(time_us, 1), flags, 0, len(payload), 0, b"", b"s", b"d", payload)


def on_device(
    medium: SimMedium, index: IndexMedium, use: Callable[[Device], Awaitable[T]], options: Options | None = None
) -> T:
    """Open the device on this medium, use it, and leave it as a kill -9 would."""

    async def main() -> T:
        disk = disk_of(medium)
        device = await open_device(1, CLUSTER, disk, lambda: SimIndex(index), options or Options(256 * 1024, 0))
        return await use(device)

    return run(main, Random(1))


async def write(device: Device, *rows: Row) -> list[DrystoneError | None]:
    """Write rows at once, which makes one batch of those that wait together; what became of each."""
    errors: dict[int, DrystoneError | None] = {}
    done = trio.Event()

    def reply(number: int, error: DrystoneError | None) -> None:
        errors[number] = error
        if len(errors) == len(rows):
            done.set()

    def replier(number: int) -> Callable[[Applied | None, DrystoneError | None], None]:
        return lambda _applied, error: reply(number, error)

    for number, each in enumerate(rows):
        device.submit_row(prepare(each, 1), replier(number))
    await done.wait()
    return [errors[number] for number in range(len(rows))]
