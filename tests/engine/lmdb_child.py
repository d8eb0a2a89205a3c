"""Opens a real device whose index may be damaged, reads everything, and says what it found: for `test_lmdb_damage`.

Runs as a process of its own, since what LMDB does with a damaged page is to be found out. Exit code 0: all that was
shown is right; 3: an error was raised; 4: something wrong was shown.
"""

from __future__ import annotations

import sys

import trio

from store.core.disk import SystemDisk
from store.core.errors import DrystoneError
from store.device.row import decode_value, index_key
from store.engine.index import LmdbIndex
from store.engine.opening import open_device
from store.engine.options import Options
from tests.engine.devices import CLUSTER, TABLE, row, write
from tests.simulation.world import quiet

ROWS = 400


async def _make(folder: str) -> None:
    device = await open_device(
        1, CLUSTER, SystemDisk(folder), lambda: LmdbIndex(folder + "/index"), Options(1 << 20, 0, spares=0)
    )
    await write(device, *(row(b"%04d" % number, number + 1, b"%d" % number * 20) for number in range(ROWS)))
    await device.close()


async def _read(folder: str) -> int:
    shown = 0
    try:
        device = await open_device(
            1, CLUSTER, SystemDisk(folder), lambda: LmdbIndex(folder + "/index"), Options(1 << 20, 0, spares=0)
        )
        for entry in await device.list_rows(1, TABLE, 0, b"", None, ROWS + 1, epoch=1):
            found = decode_value(*entry)
            number = int(found.name)
            whole = await device.load_row(index_key(row(found.name, 1).key), found, payload=True)
            if whole.payload != b"%d" % number * 20:
                return 4
            shown += 1
        if shown < ROWS and not device.health.damages:
            return 4
        await write(device, row(b"new", 10_000))
        await device.close()
    except DrystoneError as error:
        print(error)
        return 3
    return 0


if __name__ == "__main__":
    quiet()
    folder, what = sys.argv[1:]
    sys.exit(trio.run(_make, folder) or 0 if what == "make" else trio.run(_read, folder))
