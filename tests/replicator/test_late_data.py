"""A row whose data some device has yet to make durable: nobody is told that it is settled before that is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, PreconditionError
from store.device.port import Done
from store.device.row import index_key
from store.engine.device import Device
from store.objects.model import Condition, Container
from tests.objects.test_durable_uploads import hold_syncs
from tests.replicator.clusters import HEAD, media_of, opened
from tests.replicator.processes import SELDOM_S, Second, second_process
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.worker import Gate

pytestmark = pytest.mark.own_devices("the second process is behind links")

DATA = Random(1).randbytes(3 * BLOCK_BYTES)


class Late(NamedTuple):
    """A second process that uploads, and a device that does not sync data until its gate is opened."""

    node: SimNode
    second: Second
    container: Container
    device: Device
    gate: Gate

    async def upload(self, condition: Condition | None = None) -> None:
        async with self.second.store.upload(self.container, "o") as upload:
            await upload.write(DATA)
            await (upload.commit(HEAD) if condition is None else upload.commit(HEAD, condition))

    async def in_doubt(self) -> set[int]:
        """Where the row is, after a while, when all indexes were written."""
        await trio.sleep(2 * SELDOM_S)
        key = self.node.store.rows.key(self.container.id, self.container.shards, b"o")
        found = set()
        for device in self.node.devices.values():
            await device.flush()
            if index_key(key) in await device.in_doubt(b"", 10):
                found.add(device.id)
        return found

    async def hints(self) -> list[bytes]:
        """What is to be brought to the device."""
        devices = self.node.devices.values()
        return [key for device in devices for key, *_ in await device.hints(self.device.id, b"", 10)]


@asynccontextmanager
async def late() -> AsyncIterator[Late]:
    async with opened(media_of(3)) as (node, container), second_process(node) as second:
        device = node.devices[1]
        yield Late(node, second, container, device, hold_syncs(device))


async def test_a_row_is_in_doubt_until_all_devices_have_its_data(autojump_clock: MockClock) -> None:
    async with late() as it:
        await it.upload()
        assert await it.in_doubt() == {0, 1, 2}
        it.gate.open()
        assert await it.in_doubt() == set()
        await it.upload()
        assert await it.in_doubt() == set()
        assert not await it.hints()


async def test_a_row_is_settled_when_a_hint_says_who_lacks_its_data(autojump_clock: MockClock) -> None:
    async with late() as it:
        hints: list[int] = []
        it.second.store.rows.on_missed = lambda _packed, lacking, _having: hints.extend(lacking)
        await it.upload()
        it.second.store.rows.note_late()
        assert hints == [1]
        assert await it.in_doubt() == set()


@pytest.mark.parametrize("before", [True, False], ids=["before the commit", "after it"])
async def test_a_row_is_settled_when_a_device_has_said_that_it_lacks_the_data(
    autojump_clock: MockClock, before: bool
) -> None:
    async with late() as it:
        hints: list[int] = []
        it.second.store.rows.on_missed = lambda _packed, lacking, _having: hints.extend(lacking)
        data = it.second.store.devices[1]
        sync = data.submit_sync

        def lost(losses: int, done: Done) -> None:
            sync(losses, lambda _error: done(DeviceError("a sync has failed")))

        data.submit_sync = lost  # type: ignore[method-assign]
        if before:
            it.gate.open()
        await it.upload()
        if not before:
            assert await it.in_doubt() == {0, 1, 2}
            it.gate.open()
        assert await it.in_doubt() == set()
        assert hints == [1]


async def test_what_was_refused_keeps_nothing_from_being_settled(autojump_clock: MockClock) -> None:
    async with late() as it:
        await it.second.store.put(it.container, "o", b"before", HEAD)
        with pytest.raises(PreconditionError):
            await it.upload(Condition(none_match=frozenset("*")))
        it.gate.open()
        await trio.sleep(SELDOM_S)
        await it.second.store.put(it.container, "o", b"after", HEAD)
        assert await it.in_doubt() == set()
