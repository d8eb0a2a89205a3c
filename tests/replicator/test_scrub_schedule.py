"""When a pass of the scrubber is due: a period is a period however often the program starts."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import FullError
from store.objects.model import Container, ObjectHead, Policy
from store.registry import Registry, memory_registry
from store.replicator import scrub
from store.replicator.scrub_state import IDLE, ScrubState, load, save
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.world import SimClock

HEAD = ObjectHead("t")
PERIOD = 10_000.0

pytestmark = pytest.mark.at_once("about periods of weeks")


@pytest.fixture(autouse=True)
def _short_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "PERIOD_SECONDS", PERIOD)


def media_of_three() -> SimMedia:
    return SimMedia(Random(1), 3, (Policy(0, "copies", default=True),))


async def container_of(node: SimNode) -> Container:
    await node.store.put_account("a", {})
    return (await node.store.put_container("a", "c", {}))[0]


async def state_of(media: SimMedia) -> ScrubState:
    assert media.registry is not None
    state = await load(media.registry)
    assert state is not None
    return state


async def live(media: SimMedia, seconds: float) -> tuple[int, int]:
    """Run the scrubber for so long: (passes, rows looked at)."""
    async with open_node(media, CrashPoint()) as node:
        await trio.sleep(seconds)
        scrubber = node.replicator.scrubber
        return scrubber.passes, scrubber._daemon.progress.done


async def test_a_period_goes_on_over_restarts(autojump_clock: MockClock) -> None:
    media = media_of_three()
    rounds = [(await live(media, PERIOD / 4))[0] for _ in range(9)]
    assert rounds == [0, 0, 0, 0, 1, 0, 0, 0, 1]


async def test_a_pass_goes_on_where_it_was(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    media = media_of_three()
    async with open_node(media, CrashPoint()) as node:
        container = await container_of(node)
        for number in range(30):
            await node.store.put(container, str(number), b"x" * 1000, HEAD)
        await trio.sleep(5)
        rows = len((await node.devices[0].walk_rows(b"", 1000))[0])
    await live(media, 1)
    state = await state_of(media)
    assert media.registry is not None
    await save(media.registry, state._replace(finished=state.finished - PERIOD))
    monkeypatch.setattr(scrub, "PAGE", 1)
    monkeypatch.setattr(scrub, "RATE_BYTES", 100)  # about ten seconds a row
    monkeypatch.setattr(scrub, "LOOK_SECONDS", 1.0)
    first = await live(media, 400)
    assert (first[0], rows < first[1] < 2 * rows) == (0, True)
    state = await state_of(media)
    assert (state.device, bool(state.after)) == (1, True)
    second = await live(media, 2000)
    assert second[0] == 1
    assert 3 * rows <= first[1] + second[1] <= 3 * rows + 1


async def test_a_pass_at_once_for_whoever_asks(autojump_clock: MockClock) -> None:
    async with open_node(media_of_three(), CrashPoint()) as node:
        await trio.sleep(1)
        node.replicator.scrubber.want()
        await trio.sleep(1)
        assert node.replicator.scrubber.passes == 1
        state = await state_of(node.media)
        assert state.device == IDLE


class FullRegistry:
    """Takes nothing."""

    def __init__(self, registry: Registry) -> None:
        self.get = registry.get

    async def transact(self, *_arguments: object) -> None:
        raise FullError("no room")


async def test_a_registry_that_is_full_stops_nothing(autojump_clock: MockClock) -> None:
    media = media_of_three()
    media.registry = FullRegistry(memory_registry(SimClock()))  # type: ignore[assignment]
    assert (await live(media, PERIOD + 100))[0] == 1
