"""Data on devices that do not keep pace: what is durable, and what a copy shares."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import trio
from trio.testing import MockClock

from store.core.worker import Done, Worker
from store.objects.model import Container, ObjectHead, Policy
from tests.simulation.house import House, Machine, open_house
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.object_checks import read_value
from tests.simulation.supply import Supply

POLICIES = (Policy(0, "copies", default=True),)
HEAD = ObjectHead("t", {"mark": "m"})
BLOCKS = 5
DATA = Random(0).randbytes(BLOCKS * BLOCK_BYTES)


class Held:
    """A worker that begins nothing before it is let go."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: list[tuple[Callable[[], object], Done]] | None = []

    def submit(self, job: Callable[[], object], done: Done) -> None:
        if self._waiting is None:
            self._worker.submit(job, done)
        else:
            self._waiting.append((job, done))

    def let_go(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        for job, done in waiting:
            self._worker.submit(job, done)

    def close(self) -> None:
        self._worker.close()


async def container_with_source(house: House) -> Container:
    await house.store.put_account("a", {})
    container, _ = await house.store.put_container("a", "c", {})
    async with house.store.upload(container, "source") as upload:
        await upload.write(DATA)
        await upload.commit(HEAD)
    await trio.sleep(3)
    return container


async def test_a_device_that_answers_at_once_does_not_answer_for_the_others(autojump_clock: MockClock) -> None:
    with small_limits():
        async with open_house(Machine(Random(1), 3, POLICIES), Supply()) as house:
            container = await container_with_source(house)
            async with house.store.upload(container, "o") as upload:
                await upload.write(DATA)
                placement = upload._data.placement
                assert placement is not None
                quick, *slow = (house.devices[number] for number in placement.placed.devices)
                await trio.sleep(1)
                await quick.sync_data(quick.data_losses)
                held = [Held(device._bulk._sync_worker) for device in slow]
                for device, worker in zip(slow, held, strict=True):
                    device._bulk._sync_worker = worker
                with trio.move_on_after(5) as waiting:
                    await upload.digest()
                assert waiting.cancelled_caught, "one device of three was asked"
                held[0].let_go()
                await upload.commit(HEAD)
                held[1].let_go()
            assert await read_value(house.store, container, "o") == ("m", DATA)
