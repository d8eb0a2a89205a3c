"""A device refuses whoever chose it by a ring that is older than what it enforces."""

from __future__ import annotations

from random import Random

import pytest

from store.core.errors import StaleEpochError
from store.device.row import index_key
from store.engine.device import Device
from store.objects.rows import prepare
from tests.engine.devices import TABLE, on_device, row, write
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium


def _ignore(*_answer: object) -> None:
    """It is refused before it can answer."""


def test_quorums_of_an_older_ring_are_refused() -> None:
    async def use(device: Device) -> None:
        await write(device, row(b"a", 1))
        await device.enforce(3)
        packed = index_key(row(b"a", 1).key)
        with pytest.raises(StaleEpochError):
            device.submit_find(packed, 2, _ignore)
        with pytest.raises(StaleEpochError):
            device.submit_row(prepare(row(b"a", 2), 2), _ignore)
        with pytest.raises(StaleEpochError):
            await device.list_rows(1, TABLE, 0, b"", None, 10, epoch=2)
        with pytest.raises(StaleEpochError):
            await device.usage(1, TABLE, 0, epoch=2)
        answers: list[bytes | None] = []
        device.submit_find(packed, 3, lambda _device, value, _error: answers.append(value))
        assert len(answers) == len(await device.list_rows(1, TABLE, 0, b"", None, 10, epoch=3)) == 1

    on_device(SimMedium(Random(1)), IndexMedium(), use)
