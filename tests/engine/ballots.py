"""Rows, promises and looks of one device, each awaited."""

from __future__ import annotations

import trio

from store.core.errors import DrystoneError
from store.core.stamp import Stamp
from store.device.port import Applied, Seen, SeenReply
from store.device.promise import Promise, prepare_promise
from store.device.row import Row, index_key
from store.engine.device import Device
from store.objects.rows import prepare
from tests.engine.devices import row


async def apply(device: Device, each: Row) -> Applied:
    """Write a row; what became of it."""
    answers: list[tuple[Applied | None, DrystoneError | None]] = []
    answered = trio.Event()

    def reply(applied: Applied | None, error: DrystoneError | None) -> None:
        answers.append((applied, error))
        answered.set()

    device.submit_row(prepare(each, 1), reply)
    await answered.wait()
    ((applied, error),) = answers
    if error is not None:
        raise error
    assert applied is not None
    return applied


class _Answer:
    def __init__(self) -> None:
        self._answered = trio.Event()
        self._answers: list[tuple[Seen | None, DrystoneError | None]] = []

    def reply(self, _device: int, seen: Seen | None, error: DrystoneError | None) -> None:
        self._answers.append((seen, error))
        self._answered.set()

    async def wait(self) -> Seen:
        await self._answered.wait()
        ((seen, error),) = self._answers
        if error is not None:
            raise error
        assert seen is not None
        return seen


def ask(device: Device, name: bytes, time_us: int, reply: SeenReply) -> None:
    """Have it promised to take nothing below a stamp."""
    device.submit_promise(prepare_promise(Promise(row(name, 1).key, Stamp(time_us, 1)), 1), reply)


async def promise(device: Device, name: bytes, time_us: int) -> Seen:
    """The same, and what is there."""
    answer = _Answer()
    ask(device, name, time_us, answer.reply)
    return await answer.wait()


async def look(device: Device, name: bytes) -> Seen:
    """What is there."""
    answer = _Answer()
    device.submit_look(index_key(row(name, 1).key), 1, answer.reply)
    return await answer.wait()
