"""What goes wrong with the networks of a machine does not end the process, which has more to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
import trio
from trio.testing import MockClock

from compute_plugin.networks.agent.metadata.answers import from_port
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.settings import Settings
from drystone import kept_running, network_agent, network_owner
from drystone.network_agent import HostAgent
from drystone.node import Node
from store.registry import memory_registry


class TrioClock:
    def wall_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


class Broken:
    """An agent that ends as nobody thought of."""

    begun: list[float]

    def __init__(self, *_: object, **__: object) -> None:
        pass

    async def run(self) -> None:
        self.begun.append(trio.current_time())
        async with trio.open_nursery():
            await trio.sleep(0.1)
            raise KeyError("nobody thought of it")


@pytest.fixture(name="begun")
def _begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    monkeypatch.setattr(network_agent, "lock_host", lambda _: network_owner.lock_host(str(tmp_path)))
    monkeypatch.setattr(network_agent, "Agent", Broken)
    monkeypatch.setattr(network_agent, "own", lambda *_: None)
    monkeypatch.setattr(network_agent, "owned_by_another", lambda *_: False)
    Broken.begun = []
    return Broken.begun


async def wired(check: Callable[[StateStore], None], *, seconds: float = 20, together: object = None) -> None:
    """After some time of a machine's agent."""
    clock = TrioClock()
    registry = memory_registry(clock)
    states = StateStore(registry)
    cluster = SimpleNamespace(id=b"cloud")
    node = SimpleNamespace(registry=registry, clock=clock, cluster=cluster, together=together)
    service = SimpleNamespace(store=None, states=states)
    agent = HostAgent(cast(Node, node), cast(NetworkService, service), "a", {}, Settings(), from_port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        nursery.start_soon(agent.run)
        await trio.sleep(seconds)
        check(states)
        nursery.cancel_scope.cancel()


def told(states: StateStore) -> None:
    (problem,) = states.states.agents.require("a").problems
    assert "nobody thought of it" in problem


async def test_an_agent_that_ends_is_told_of_and_tried_again_with_pauses(
    begun: list[float], autojump_clock: MockClock
) -> None:
    with structlog.testing.capture_logs() as logs:
        await wired(told)
    assert 3 <= len(begun) <= 6
    assert begun[2] - begun[1] > begun[1] - begun[0]
    assert any(one["log_level"] == "error" and one.get("exc_info") for one in logs)


async def test_pauses_have_an_end(begun: list[float], autojump_clock: MockClock) -> None:
    await wired(told, seconds=1000)
    assert begun[-1] - begun[-2] < 2 * kept_running.PAUSE_MOST_S


@pytest.mark.parametrize("what", ["lock_host", "owned_by_another", "own"])
async def test_nor_does_what_comes_before_it(
    begun: list[float], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, what: str
) -> None:
    def full(*_: object) -> Any:
        raise OSError(28, "nobody thought of it")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(network_agent, what, full)
    await wired(told)
    assert not begun


async def test_a_node_whose_name_is_not_known_yet(begun: list[float], autojump_clock: MockClock) -> None:
    identity = SimpleNamespace(address="no-such-name.invalid:8090")

    def untold(states: StateStore) -> None:
        assert states.states.hosts.get("a") is None, "packets of others go where they went"

    await wired(untold, together=SimpleNamespace(identity=identity))
    assert not begun


async def test_who_is_not_root_keeps_nobody_from_wiring(
    begun: list[float], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def untouched(*_: object) -> Any:
        raise AssertionError("of what is root's nothing is touched")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for what in ("lock_host", "owned_by_another", "own"):
        monkeypatch.setattr(network_agent, what, untouched)
    await wired(told)
    assert begun
