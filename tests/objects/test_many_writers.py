"""Several processes write one row: what they are told is that of one register (docs/consistency.md).

Each has stamps and a clock of its own, and its own view of the devices: answers come late, in another order, or never,
and calls are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import BusyError, DrystoneError
from store.core.stamp import ZERO, StampSource
from store.device.row import Row, RowKey, index_key
from store.engine.device import Device
from store.objects.quorum_read import ReadRow
from store.objects.rows import Rows, tombstone
from tests.device.delayed import DELAYS_S, DelayedDevice
from tests.linearizability.checker import Operation
from tests.linearizability.register import CompareAndSet, Read, Write, explained
from tests.replicator.clusters import media_of, opened
from tests.simulation.node import SimNode
from tests.simulation.world import SimClock

SEEDS = range(24)
OPERATIONS = 12
WRITERS = 4
DAY_US = 86_400_000_000
LOST = 0.08
"""Of all calls, and of all answers."""


class Writer:
    """One process: what it asks and is told."""

    def __init__(self, number: int, node: SimNode, seed: int) -> None:
        self._random = Random(f"{seed} {number}")
        self._clock = SkewedClock(self._random.choice([0, 0, DAY_US, -DAY_US]))
        devices = {
            each: LossyDevice(device, Random(self._random.getrandbits(32))) for each, device in node.devices.items()
        }
        self._rows = Rows(node.store.rows.ring, devices, StampSource(self._clock, 100 + number), alone=False)
        self._number = number
        self._seen: int | None = None
        self.history: list[Operation] = []

    async def run(self) -> None:
        for step in range(OPERATIONS):
            await trio.sleep(self._random.choice([0, 0, 0.01, 0.1]))
            self._clock.skew_us += self._random.choice([0, 0, 0, 3_600_000_000, -3_600_000_000])
            value = self._number * 1000 + step
            what = self._random.choice(["read", "read", "write", "write", "delete", "cas", "cas"])
            call = self._call(what, value)
            invoked = trio.current_time()
            result: object = None
            returned: float | None
            try:
                result = await self._ask(call)
                returned = trio.current_time()
            except DrystoneError:
                returned = None
            if returned is not None or not isinstance(call, Read):
                self.history.append(Operation(call, result, invoked, returned))

    def _call(self, what: str, value: int) -> Read | Write | CompareAndSet:
        if what == "read":
            return Read()
        return CompareAndSet(self._seen, value) if what == "cas" else Write(value if what == "write" else None)

    async def _ask(self, call: Read | Write | CompareAndSet) -> object:
        key = key_of(self._rows)
        packed = index_key(key)
        if isinstance(call, Read):
            found = await self._rows.read(key, packed)
            self._seen = value_of(found)
            return self._seen
        if isinstance(call, Write):
            await self._rows.put(row_of(key, call.value), packed)
            return None

        async def edit(found: ReadRow | None) -> Row | None:
            self._seen = value_of(found)
            return row_of(key, call.value) if self._seen == call.expected else None

        return await self._rows.change(key, packed, edit) is not None


class LossyDevice(DelayedDevice):
    """Calls and answers are lost."""

    def __init__(self, engine: Device, random: Random) -> None:
        super().__init__(engine, lambda: random.choice(DELAYS_S))
        self._random = random

    def _submit(self, key: bytes, submit: Callable[[], None], refuse: Callable[[DrystoneError], None]) -> None:
        if self._random.random() < LOST:
            self._later(key, lambda: refuse(BusyError("it was lost")))
        else:
            super()._submit(key, submit, refuse)

    def _later(self, key: bytes, call: Callable[[], None]) -> None:
        if self._random.random() >= LOST:
            super()._later(key, call)


class SkewedClock(SimClock):
    """A clock that is wrong."""

    def __init__(self, skew_us: int) -> None:
        super().__init__()
        self.skew_us = skew_us

    def wall_us(self) -> int:
        return max(1, super().wall_us() + self.skew_us)


def key_of(rows: Rows) -> RowKey:
    return rows.key(bytes(16), 1, b"one")


def row_of(key: RowKey, value: object) -> Row:
    if value is None:
        return tombstone(key, 0)
    assert isinstance(value, int)
    return Row(key, ZERO, 0, 0, 0, 0, b"", value.to_bytes(4), b"", b"payload")


def value_of(found: ReadRow | None) -> int | None:
    return int.from_bytes(found.row.summary) if found is not None and found.row.live else None


@pytest.mark.at_once("it makes the devices late itself")
@pytest.mark.parametrize("seed", SEEDS)
async def test_one_row_is_a_register_to_many_writers(autojump_clock: MockClock, seed: int) -> None:
    async with opened(media_of(3, seed=seed)) as (node, _):
        writers = [Writer(number, node, seed) for number in range(WRITERS)]
        async with trio.open_nursery() as nursery:
            for writer in writers:
                nursery.start_soon(writer.run)
        history = [operation for writer in writers for operation in writer.history]
        assert sum(operation.returned is not None for operation in history) > len(history) / 3
        assert explained(history)
