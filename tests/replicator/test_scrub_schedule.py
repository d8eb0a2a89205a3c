"""When a pass of the scrubber is due: a period is a period however often the program starts, and what a device
missed is not left to the end of it."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, FullError
from store.engine.row import index_key
from store.objects.model import Container, ObjectHead, Policy
from store.registry import Registry, memory_registry
from store.replicator import scrub
from store.replicator.progress import Progress
from store.replicator.scrub_state import IDLE, ScrubState, load, save
from store.ring import ROWS
from tests.simulation.house import House, Machine, open_house
from tests.simulation.supply import Supply
from tests.simulation.world import SimClock

HEAD = ObjectHead("t")
PERIOD = 10_000.0


def machine_of_three() -> Machine:
    return Machine(Random(1), 3, (Policy(0, "copies", default=True),))


async def container_of(house: House) -> Container:
    await house.store.put_account("a", {})
    return (await house.store.put_container("a", "c", {}))[0]


async def state_of(machine: Machine) -> ScrubState:
    assert machine.registry is not None
    state = await load(machine.registry)
    assert state is not None
    return state


async def live(machine: Machine, seconds: float) -> Progress:
    """Run the scrubber for so long."""
    async with open_house(machine, Supply()) as house:
        house.nursery.start_soon(house.scrubber.run, PERIOD)
        await trio.sleep(seconds)
        return house.scrubber._progress


async def test_a_period_goes_on_over_restarts(autojump_clock: MockClock) -> None:
    machine = machine_of_three()
    rounds = [(await live(machine, PERIOD / 4)).rounds for _ in range(9)]
    assert rounds == [0, 0, 0, 0, 1, 0, 0, 0, 1]


async def test_a_pass_goes_on_where_it_was(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_of_three()
    async with open_house(machine, Supply()) as house:
        container = await container_of(house)
        for number in range(30):
            await house.store.put(container, str(number), b"x" * 1000, HEAD)
        await trio.sleep(5)
        rows = len((await house.devices[0].walk_rows(b"", 1000))[0])
    await live(machine, 1)
    state = await state_of(machine)
    assert machine.registry is not None
    await save(machine.registry, state._replace(finished=state.finished - PERIOD))
    monkeypatch.setattr(scrub, "PAGE", 1)
    monkeypatch.setattr(scrub, "RATE_BYTES", 100)  # about ten seconds a row
    monkeypatch.setattr(scrub, "LOOK_SECONDS", 1.0)
    first = await live(machine, 400)
    assert (first.rounds, rows < first.done < 2 * rows) == (0, True)
    state = await state_of(machine)
    assert (state.device, bool(state.after)) == (1, True)
    second = await live(machine, 2000)
    assert second.rounds == 1
    assert 3 * rows <= first.done + second.done <= 3 * rows + 1


async def test_what_a_device_missed_while_it_was_out_is_repaired_when_it_is_back(autojump_clock: MockClock) -> None:
    machine = machine_of_three()
    async with open_house(machine, Supply()) as house:
        house.nursery.start_soon(house.scrubber.run, PERIOD)
        container = await container_of(house)
        await trio.sleep(5)
        key = house.store.rows.key(container.id, container.shards, b"o")
        out = house.devices[house.store.rows.ring.homes_all(ROWS, key.place)[0]]
        out._fail(DeviceError("no sync"))
        await house.store.put(container, "o", b"data", HEAD)
        await trio.sleep(2 * scrub.LOOK_SECONDS)
        assert house.scrubber._progress.rounds == 0  # it is still out
    async with open_house(machine, Supply()) as house:
        again = house.devices[out.id]
        again_before = await again.find_row(index_key(key))
        house.nursery.start_soon(house.scrubber.run, PERIOD)
        await trio.sleep(scrub.OWED_SECONDS)
        assert again_before is None
        assert await again.find_row(index_key(key)) is not None
        assert house.scrubber._progress.rounds == 1
        await trio.sleep(PERIOD / 2)
        assert house.scrubber._progress.rounds == 1
    state = await state_of(machine)
    assert state == ScrubState(state.finished)


async def test_a_pass_at_once_for_whoever_asks(autojump_clock: MockClock) -> None:
    async with open_house(machine_of_three(), Supply()) as house:
        house.nursery.start_soon(house.scrubber.run, PERIOD)
        await trio.sleep(1)
        house.scrubber.want()
        await trio.sleep(1)
        assert house.scrubber._progress.rounds == 1
        state = await state_of(house.machine)
        assert (state.device, state.owed) == (IDLE, False)


class FullRegistry:
    """Takes nothing."""

    def __init__(self, registry: Registry) -> None:
        self.get = registry.get

    async def transact(self, *_arguments: object) -> None:
        raise FullError("no room")


async def test_a_registry_that_is_full_stops_nothing(autojump_clock: MockClock) -> None:
    machine = machine_of_three()
    machine.registry = FullRegistry(memory_registry(SimClock()))  # type: ignore[assignment]
    assert (await live(machine, PERIOD + 100)).rounds == 1


async def test_a_pass_is_owed_for_what_a_device_missed_between_two_looks(autojump_clock: MockClock) -> None:
    """All devices are well whenever the scrubber looks, and yet each lacks what the others have."""
    async with open_house(machine_of_three(), Supply()) as house:
        house.nursery.start_soon(house.scrubber.run, PERIOD)
        container = await container_of(house)
        await trio.sleep(5)
        for number in range(24):
            device = house.devices[number % 3]
            device._options.reserve_bytes = 1 << 50
            device.look_for_room()
            await house.store.put(container, str(number), b"data", HEAD)
            device._options.reserve_bytes = 0
            device.look_for_room()
        await trio.sleep(scrub.OWED_SECONDS + 2 * scrub.LOOK_SECONDS)
        assert (await house.store.container_usage(container)).objects == 24
        assert house.scrubber._progress.rounds == 1
