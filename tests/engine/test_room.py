"""Room: data are refused before what is reserved is used up, without asking the file system for each block."""

from __future__ import annotations

import pytest

from store.core.errors import FullError
from store.engine.health import Health
from store.engine.options import Options
from store.engine.room import Room

RESERVE = 128 << 20
BLOCK = 24 << 10


class _FileSystem:
    """So much is free, asked so many times."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.asked = 0

    def free_bytes(self) -> int:
        self.asked += 1
        return self.free


def _room(files: _FileSystem) -> Room:
    return Room(0, files, Options(reserve_bytes=RESERVE), Health(), lambda _error: None)  # type: ignore[arg-type]


def test_small_blocks_do_not_ask_each_and_are_refused_long_before_the_reserve_is_gone() -> None:
    files = _FileSystem(RESERVE + (4 << 20))
    room = _room(files)
    taken = 0
    with pytest.raises(FullError):  # noqa: PT012 - room is looked at now and then
        while files.free > 0:
            room.check_for(BLOCK)
            files.free -= BLOCK
            taken += 1
    assert files.free > RESERVE * 0.98
    assert taken * BLOCK >= 4 << 20, "refused while there was room"
    assert files.asked < taken / 20


def test_a_device_that_is_full_is_asked_each_time_and_takes_data_again_when_there_is_room() -> None:
    files = _FileSystem(0)
    room = _room(files)
    for _ in range(3):
        with pytest.raises(FullError):
            room.check_for(RESERVE)
    files.free = 2 * RESERVE
    room.check_for(1)
